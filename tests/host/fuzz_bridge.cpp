// Fuzzes the bridge: threads call it as the plug-in does, and a false server answers with messages
// that are damaged, out of place, in pieces or not whole. Linked with the bridge's own sources, under
// AddressSanitizer and UndefinedBehaviorSanitizer.
//
//   fuzz_bridge FOLDER [COUNT] [SEED]
//
// FOLDER becomes the runtime folder. Ends once COUNT damaged or misplaced messages have been sent,
// with one JSON object on stdout and exit status 0 if nothing was wrong. Only what the bridge reads
// is counted: a connection gets nothing more after a damaged message.
#include "fuzz_server.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

// As in <sanitizer/allocator_interface.h>, which not every compiler brings along.
extern "C" int __sanitizer_install_malloc_and_free_hooks(
    void (*allocated)(const volatile void *, std::size_t), void (*freed)(const volatile void *));
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();

// Little is held back from use again, so that growth is the bridge's own.
extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options()
{
    return "quarantine_size_mb=2:thread_local_quarantine_size_kb=64:detect_leaks=1:max_allocation_size_mb=16";
}

namespace {

using namespace fuzz;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kClients = 4;
constexpr int kServers = 12;
constexpr std::size_t kMostGrowth = std::size_t(64) << 20;   // bytes of memory beyond those at the start
constexpr std::size_t kMostHeld = std::size_t(2) << 20;      // bytes allocated at one time, the false server's beside the bridge's
constexpr std::size_t kMostAllocated = wire::kLongestBody;   // bytes at once, on a thread that asks
constexpr std::size_t kMostSaid = wire::kLongestText + 1024; // bytes of a sentence
constexpr int kLongestCall = 20'000;                         // ms: as long as the bridge waits for a server to start
constexpr int kStuck = 60'000;                               // ms

std::atomic<long> answered{0}, failed{0}, aborted{0}; // calls
std::atomic<int> clients{kClients}, longest{0};
std::atomic<std::size_t> largest{0};
std::array<std::atomic<Clock::rep>, kClients> began{};
thread_local bool asks = false;

void allocated(const volatile void *, std::size_t size)
{
    std::size_t known = largest;
    while (asks && size > known && !largest.compare_exchange_weak(known, size)) {
    }
}

void freed(const volatile void *) {}

// One of a few pictures, so that some are known to the bridge, or to the session, and others are not.
grainlayer::Lease picture(Dice &dice, int width, int height)
{
    std::vector<float> values(std::size_t(width) * std::size_t(height) * 4, float(dice.below(6)));
    grainlayer::Pixels pixels;
    pixels.data = reinterpret_cast<unsigned char *>(values.data());
    pixels.row_bytes = width * 16;
    pixels.bounds = {0, 0, width, height};
    return grainlayer::lend(pixels, !dice.below(10));
}

// One call as the plug-in makes it. Throws grainlayer::Failure.
void call(Dice &dice)
{
    const std::size_t what = dice.below(4);
    if (what == 0) {
        if (grainlayer::server::doctor().size() > wire::kLongestText) {
            fail("a report is too long");
        }
        return;
    }
    grainlayer::Job job;
    job.effect = unsigned(dice.below(3));
    job.width = 1 + int(dice.below(16));
    job.height = 16;
    job.values.numbers.assign(20, {"a_number", 0.5});
    job.values.texts.assign(3, "a text");
    for (std::size_t left = dice.below(4) ? 1 : 5; left; --left) {
        job.pictures.push_back(picture(dice, job.width, job.height));
    }
    const auto limit = Clock::now() + milliseconds(dice.below(20) ? 3'600'000 : dice.below(4));
    const auto wish = [&] { return Clock::now() > limit; };
    if (what == 1) {
        grainlayer::server::analyse(job, wish);
        return;
    }
    if (grainlayer::server::render(job, wish).note.size() > wire::kLongestText || !job.out) {
        fail("a render's answer is wrong");
    }
    std::memset(grainlayer::picture_in(job.out), 1, std::size_t(job.width) * std::size_t(job.height) * 12);
}

void runClient(std::size_t place, std::uint64_t seed)
{
    Dice dice(seed);
    asks = true;
    while (!over) {
        const auto start = Clock::now();
        began[place] = start.time_since_epoch().count();
        try {
            call(dice);
            ++answered;
        } catch (const grainlayer::Failure &failure) {
            ++(failure.aborted ? aborted : failed);
            if (failure.sentence.size() > kMostSaid || (failure.sentence.empty() && !failure.aborted)) {
                fail("a failure of " + std::to_string(failure.sentence.size()) + " bytes");
            }
        }
        const auto took = int(std::chrono::duration_cast<milliseconds>(Clock::now() - start).count());
        for (int known = longest; took > known && !longest.compare_exchange_weak(known, took);) {
        }
    }
    began[place] = 0;
    --clients;
}

// Returns how many bytes were allocated at one time, at most.
std::size_t watch(long count)
{
    std::size_t held = 0;
    while (clients) {
        std::this_thread::sleep_for(milliseconds(20));
        over = over || tally.fuzzed >= count;
        held = std::max(held, __sanitizer_get_current_allocated_bytes());
        const auto now = Clock::now().time_since_epoch();
        for (const auto &start : began) {
            const Clock::rep since = start;
            if (since && now - Clock::duration(since) > milliseconds(kStuck)) {
                fail("a call hangs");
            }
        }
    }
    return held;
}

// Bytes of memory: VmRSS, those at present, or VmHWM, the most so far.
std::size_t memory(const std::string &which)
{
    std::ifstream status("/proc/self/status");
    std::size_t kib = 0;
    for (std::string word; status >> word;) {
        if (word == which + ":") {
            status >> kib;
        }
    }
    return kib << 10;
}

std::size_t descriptors()
{
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return std::size_t(std::distance(begin(open), end(open)));
}

} // namespace

int main(int count, char **words)
{
    if (count < 2) {
        fail("name a folder");
    }
    const std::string folder = words[1];
    const long wanted = count > 2 ? std::atol(words[2]) : 10'000;
    const auto seed = std::uint64_t(count > 3 ? std::atol(words[3]) : 0);
    mkdir(folder.c_str(), 0700);
    setenv("GRAINLAYER_RUNTIME", folder.c_str(), 1);
    setenv("GRAINLAYER_SERVER", "/bin/false", 1);
    const int listener = listenIn(folder);
    __sanitizer_install_malloc_and_free_hooks(allocated, freed);
    const auto start = Clock::now();
    const std::size_t before = memory("VmRSS"), open = descriptors();
    std::size_t held = 0;
    {
        std::vector<std::jthread> threads;
        for (std::uint64_t i = 0; i < kServers; ++i) {
            threads.emplace_back(runServer, listener, 1000 * seed + i, std::cref(clients));
        }
        for (std::uint64_t i = 0; i < kClients; ++i) {
            threads.emplace_back(runClient, i, 1000 * seed + 100 + i);
        }
        held = watch(wanted);
    }
    grainlayer::server::rest();
    const std::size_t grown = memory("VmHWM") - before, left = descriptors();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::printf("{\"fuzzed\": %ld, \"damaged\": %ld, \"sent\": %ld, \"connections\": %ld, ", tally.fuzzed.load(),
        tally.damaged.load(), tally.sent.load(), tally.connections.load());
    std::printf("\"answered\": %ld, \"failed\": %ld, \"aborted\": %ld, \"longest_call_ms\": %d, ", answered.load(),
        failed.load(), aborted.load(), longest.load());
    std::printf("\"seconds\": %.1f, \"mib_at_start\": %zu, \"mib_grown\": %zu, \"kib_held\": %zu, ", seconds,
        before >> 20, grown >> 20, held >> 10);
    std::printf("\"largest_allocation\": %zu, \"descriptors\": [%zu, %zu]}\n", largest.load(), open, left);
    const bool small = grown <= kMostGrowth && held <= kMostHeld && largest <= kMostAllocated;
    return small && longest <= kLongestCall && left <= open && answered && failed ? 0 : 1;
}
