#include "stress.h"

#include "json.h"
#include "render.h"
#include "setup.h"

#include <cstring>
#include <fstream>
#include <iostream>
#include <random>

namespace host {

std::string runParallel(const Command &command)
{
    command.allow({"threads", "out", "like_mlt", "sequence", "scale"});
    const auto effect = Host::instance().effect(command.word(0, "the name of an instance"));
    std::vector<double> times;
    for (std::size_t i = 1; i < command.count(); ++i) {
        times.push_back(command.number(i, "a time"));
    }
    std::vector<std::string> answers(times.size());
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
        for (std::size_t i = next++; i < times.size(); i = next++) {
            RenderSettings settings = renderSettings(command);
            settings.time = times[i];
            try {
                const RenderResult result = renderFrame(*effect, settings);
                answers[i] = result.json();
                if (command.has("out")) {
                    const std::string file = command.option("out") + frameText(times[i]);
                    writeWindow(result, file + ".raw", false);
                }
            } catch (const std::exception &problem) {
                answers[i] = JsonObject().put("error", problem.what()).text();
            }
        }
    };
    std::vector<std::thread> threads;
    const auto start = Clock::now();
    for (int i = 0; i < std::max(1, command.intOption("threads", 2)); ++i) {
        threads.emplace_back(work);
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    const auto same = [](const std::string &text) { return text; };
    return JsonObject()
        .put("ms", millisecondsSince(start))
        .raw("frames", jsonArray(answers, same))
        .text();
}

namespace {

struct Digest {
    std::uint64_t first = 0x9ae16a3b2f90404fu;
    std::uint64_t second = 0xc3a5c85c97cb3127u;
    bool operator==(const Digest &) const = default;
};

Digest digest(const std::vector<float> &pixels)
{
    Digest sum;
    for (const float pixel : pixels) {
        const auto bits = std::bit_cast<std::uint32_t>(pixel);
        sum.first = (sum.first ^ bits) * 0x9e3779b97f4a7c15u;
        sum.first ^= sum.first >> 31;
        sum.second = (sum.second + bits) * 0xd6e8feb86659fd93u;
        sum.second ^= sum.second >> 33;
    }
    return sum;
}

class Storm {
  public:
    explicit Storm(const Command &command);
    ~Storm();
    Storm(const Storm &) = delete;
    Storm &operator=(const Storm &) = delete;
    void prepare(const Command &command);
    std::string run(Input &input);

  private:
    void expect(const Command &command);
    void work(unsigned int seed);
    void count(Effect &effect, const RenderResult &result, const RenderSettings &settings);
    std::string json(bool last);
    bool sleepOneSecond(Input &input) const;

    std::vector<std::shared_ptr<Effect>> instances_;
    std::vector<Digest> expected_;
    double first_ = 0;
    double seconds_;
    int threads_;
    bool likeMlt_;

    std::atomic<bool> stop_ = false;
    std::mutex mutex_;
    Clock::time_point start_;
    Clock::time_point lastGood_;
    long ok_ = 0, failed_ = 0, wrong_ = 0, silent_ = 0;
    double slowest_ = 0, longestGap_ = 0;
    std::vector<std::string> examples_; // of what went wrong
};

Storm::Storm(const Command &command)
    : seconds_(command.numberOption("seconds", 10)), threads_(command.intOption("threads", 2)),
      likeMlt_(command.flag("like_mlt"))
{
}

Storm::~Storm()
{
    for (const auto &effect : instances_) {
        destroyInstance(*effect);
    }
}

void Storm::prepare(const Command &command)
{
    command.allow({"seconds", "threads", "instances", "plugin", "context", "width", "height",
        "frames", "rate", "components", "depth", "premult", "clip_props", "file", "raw16", "params",
        "expect", "like_mlt"});
    PluginRecord &plugin = Host::instance().plugin(command.option("plugin"));
    const Effect &descriptor = Host::instance().descriptor(plugin, contextOption(command));
    const Settings settings = createSettings(command, descriptor);
    first_ = settings.first;
    expected_.resize(static_cast<std::size_t>(settings.last - settings.first + 1));
    expect(command);
    const Source source{command.option("file"), static_cast<int>(expected_.size()),
        command.flag("raw16")};
    for (int i = 0; i < std::max(1, command.intOption("instances", 1)); ++i) {
        ofx::Status status = ofx::kStatOK;
        const auto effect = makeInstance(descriptor, settings, status);
        if (!effect) {
            throw CommandError("CreateInstance failed with " + std::to_string(status) + ".");
        }
        instances_.push_back(effect);
        setParams(*effect, command.option("params"));
        bindSource(*effect, ofx::kImageEffectSimpleSourceClipName, source);
    }
}

void Storm::expect(const Command &command)
{
    const auto pixels = static_cast<std::size_t>(command.intOption("width", 64))
        * static_cast<std::size_t>(command.intOption("height", 48));
    std::vector<float> values(pixels * 4);
    for (std::size_t i = 0; i < expected_.size(); ++i) {
        const std::string path
            = command.option("expect") + frameText(first_ + static_cast<double>(i)) + ".raw";
        std::ifstream file(path, std::ios::binary);
        const auto bytes = static_cast<std::streamsize>(values.size() * sizeof(float));
        if (!file.read(reinterpret_cast<char *>(values.data()), bytes)) {
            throw CommandError("Cannot read the expected frame " + path + ".");
        }
        expected_[i] = digest(values);
    }
}

void Storm::count(Effect &effect, const RenderResult &result, const RenderSettings &settings)
{
    const auto frame = static_cast<std::size_t>(settings.time - first_);
    const bool good = result.status == ofx::kStatOK;
    const bool right = good
        ? digest(windowPixels(*result.output, result.window)) == expected_[frame]
        : equalsSource(effect, result, settings);
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    if (good) {
        longestGap_ = std::max(longestGap_,
            std::chrono::duration<double, std::milli>(now - lastGood_).count());
        lastGood_ = now;
    }
    const bool silent = !good && !result.hasMessage();
    ok_ += good && right ? 1 : 0;
    failed_ += good ? 0 : 1;
    wrong_ += right ? 0 : 1;
    silent_ += silent ? 1 : 0;
    slowest_ = std::max(slowest_, result.milliseconds);
    if ((!right || silent) && examples_.size() < 10) {
        examples_.push_back("frame " + frameText(settings.time) + ", status "
            + std::to_string(result.status) + (right ? "" : ", wrong pixels")
            + (silent ? ", no message" : ""));
    }
}

void Storm::work(unsigned int seed)
{
    std::mt19937 random(seed);
    const auto pick = [&](std::size_t size) { return random() % size; };
    std::shared_ptr<Buffer> output;
    while (!stop_) {
        Effect &effect = *instances_[pick(instances_.size())];
        RenderSettings settings;
        settings.time = first_ + static_cast<double>(pick(expected_.size()));
        settings.likeMlt = likeMlt_;
        settings.checkInputs = false;
        try {
            const RenderResult result = renderFrame(effect, settings, output);
            output = result.output;
            count(effect, result, settings);
        } catch (const CommandError &problem) {
            const std::lock_guard lock(mutex_);
            ++wrong_;
            examples_.emplace_back(problem.what());
            stop_ = true;
        }
    }
}

std::string Storm::json(bool last)
{
    const std::lock_guard lock(mutex_);
    const double t = millisecondsSince(start_) / 1000;
    const double gap = std::max(longestGap_, millisecondsSince(lastGood_));
    JsonObject object;
    if (!last) {
        object.put("progress", true);
    }
    object.put("t", t).put("ok", ok_).put("failed", failed_).put("wrong", wrong_);
    object.put("silent_failures", silent_).put("slowest_ms", slowest_);
    object.put("longest_gap_ms", gap).raw("examples", jsonArray(examples_));
    return object.text();
}

// True when the storm shall end.
bool Storm::sleepOneSecond(Input &input) const
{
    for (int i = 0; i < 20; ++i) {
        if (millisecondsSince(start_) >= seconds_ * 1000 || input.takeStop()) {
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
}

std::string Storm::run(Input &input)
{
    start_ = lastGood_ = Clock::now();
    std::vector<std::thread> threads;
    for (int i = 0; i < std::max(1, threads_); ++i) {
        threads.emplace_back([this, i] { work(static_cast<unsigned int>(i) + 1); });
    }
    while (!sleepOneSecond(input)) {
        std::cout << json(false) << std::endl;
    }
    stop_ = true;
    for (std::thread &thread : threads) {
        thread.join();
    }
    return json(true);
}

} // namespace

std::string runStorm(const Command &command, Input &input)
{
    Storm storm(command);
    storm.prepare(command);
    return storm.run(input);
}

} // namespace host
