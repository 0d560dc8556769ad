// Timings: renders beside bare copies of the same bytes, and the life of an instance.
#include "json.h"
#include "setup.h"
#include "stress.h"

#include <algorithm>
#include <cstring>

namespace host {

namespace {

void copyWith(int threads, unsigned char *to, const unsigned char *from, std::size_t bytes)
{
    if (threads == 1) {
        std::memcpy(to, from, bytes);
        return;
    }
    const std::size_t part = bytes / static_cast<std::size_t>(threads) + 1;
    std::vector<std::thread> workers;
    for (std::size_t at = part; at < bytes; at += part) {
        workers.emplace_back([=] { std::memcpy(to + at, from + at, std::min(part, bytes - at)); });
    }
    std::memcpy(to, from, std::min(part, bytes));
    for (std::thread &worker : workers) {
        worker.join();
    }
}

// The least that any bridge must do: the picture into a second place and from there to the output.
double timeTwoCopies(int threads, unsigned char *output, unsigned char *middle,
    const unsigned char *source, std::size_t bytes)
{
    const auto start = Clock::now();
    copyWith(threads, middle, source, bytes);
    copyWith(threads, output, middle, bytes);
    return millisecondsSince(start);
}

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    return values.empty() ? 0.0 : values[values.size() / 2];
}

// Alternating user edits: PARAM:VALUE/VALUE/...
struct Edits {
    std::string param;
    std::vector<std::string> values;

    explicit Edits(const std::string &text)
    {
        const std::size_t colon = text.find(':');
        if (text.empty()) {
            return;
        }
        if (colon == std::string::npos) {
            throw CommandError("edit needs PARAM:VALUE/VALUE.");
        }
        param = text.substr(0, colon);
        values = split(text.substr(colon + 1), '/');
    }

    void apply(Effect &effect, int round, double time) const
    {
        if (values.empty()) {
            return;
        }
        setParam(effect, param, values[static_cast<std::size_t>(round) % values.size()]);
        std::vector<std::string> changed;
        tellUserEdited(effect, param, time, changed);
    }
};

int roundsOf(const Command &command, int otherwise)
{
    const int rounds = command.intOption("rounds", otherwise);
    if (rounds < 1) {
        throw CommandError("rounds is at least 1.");
    }
    return rounds;
}

} // namespace

std::string runBench(const Command &command)
{
    command.allow({"rounds", "edit", "like_mlt", "sequence", "scale", "draft", "interactive"});
    const auto effect = Host::instance().effect(command.word(0, "the name of an instance"));
    RenderSettings settings = renderSettings(command);
    settings.time = command.number(1, "a time");
    settings.checkInputs = false;
    const Edits edits(command.option("edit"));
    const auto clip = findClip(*effect, ofx::kImageEffectSimpleSourceClipName);
    const auto source = clip->picture(settings.time, settings.scale);
    if (!source) {
        throw CommandError("The clip Source has no picture at this time.");
    }
    source->use();
    const std::size_t bytes = source->bytes();
    std::vector<unsigned char> middle(bytes, 1);
    std::vector<unsigned char> target(bytes, 2);
    const unsigned char *from = source->row(source->bounds().y1);
    if (source->rowBytes() < 0) {
        from = source->row(source->bounds().y2 - 1);
    }
    std::vector<double> renders, lives, alone, pair;
    std::vector<int> statuses;
    std::shared_ptr<Buffer> output;
    for (int round = 0; round < roundsOf(command, 10); ++round) {
        edits.apply(*effect, round, settings.time);
        const RenderResult result = renderFrame(*effect, settings, output);
        output = result.output;
        statuses.push_back(result.status);
        renders.push_back(result.milliseconds);
        lives.push_back(result.lifeMilliseconds);
        alone.push_back(timeTwoCopies(1, target.data(), middle.data(), from, bytes));
        pair.push_back(timeTwoCopies(2, target.data(), middle.data(), from, bytes));
    }
    source->leave();
    JsonObject object;
    object.raw("statuses", jsonArray(statuses)).raw("render_ms", jsonArray(renders));
    if (settings.likeMlt) {
        object.raw("life_ms", jsonArray(lives));
    }
    object.raw("copies_1_thread_ms", jsonArray(alone));
    object.raw("copies_2_threads_ms", jsonArray(pair));
    object.put("median_render_ms", median(renders));
    object.put("median_copies_1_thread_ms", median(alone));
    object.put("median_copies_2_threads_ms", median(pair));
    return object.put("bytes", bytes).text();
}

namespace {

// Microseconds within the plug-in, and with what the host does around it.
std::pair<std::vector<double>, std::vector<double>> timeInstances(const Effect &descriptor,
    int rounds)
{
    std::vector<double> inside;
    std::vector<double> total;
    for (int round = 0; round < rounds; ++round) {
        const auto start = Clock::now();
        ofx::Status status = ofx::kStatOK;
        const auto effect = makeInstance(descriptor, Settings{}, status);
        if (!effect) {
            throw CommandError("CreateInstance failed with " + std::to_string(status) + ".");
        }
        destroyInstance(*effect);
        total.push_back(millisecondsSince(start) * 1000);
        const std::chrono::duration<double, std::micro> actions
            = Clock::duration(effect->actionTime.load());
        inside.push_back(actions.count());
    }
    return {inside, total};
}

} // namespace

std::string runLifecycle(const Command &command)
{
    command.allow({"rounds", "context"});
    Host &host = Host::instance();
    const std::string id = command.word(0, "the id of a plug-in");
    const std::string context = contextOption(command);
    if (!host.instances.empty()) {
        throw CommandError("Destroy all instances first.");
    }
    std::vector<std::string> paths;
    const std::string path = host.plugin(id).binary->path;
    for (const auto &binary : host.binaries) {
        if (binary->path != path) {
            paths.push_back(binary->path);
        }
    }
    host.unloadAll();
    const auto start = Clock::now();
    host.load(path);
    const Effect &descriptor = host.descriptor(host.plugin(id), context);
    const double loading = millisecondsSince(start);
    const int rounds = roundsOf(command, 100);
    const auto [inside, total] = timeInstances(descriptor, rounds);
    for (const std::string &other : paths) {
        host.load(other);
    }
    return JsonObject()
        .put("load_describe_ms", loading)
        .put("create_destroy_us", median(inside))
        .put("with_host_us", median(total))
        .put("rounds", rounds)
        .text();
}

} // namespace host
