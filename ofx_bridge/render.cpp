#include "effects.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>
#include <optional>

namespace grainlayer {
namespace {

constexpr const char *kNoMemory = "There is not enough memory for pictures of this size; close other programs, or work at a smaller size.";
constexpr int kMostAnalysed = 7;

// An image of a clip, given back when this goes.
class HostImage {
public:
    HostImage(ofx::ImageClipHandle clip, ofx::Time time) {
        if (!clip || suites().effect->clipGetImage(clip, time, nullptr, &handle_) != ofx::kStatOK || !handle_) {
            handle_ = nullptr;
            return;
        }
        read(Props(handle_));
    }
    HostImage(const HostImage &) = delete;
    HostImage &operator=(const HostImage &) = delete;
    ~HostImage() {
        if (handle_)
            suites().effect->clipReleaseImage(handle_);
    }
    explicit operator bool() const { return handle_ && pixels_.data && pixels_.width() > 0 && pixels_.height() > 0; }
    const Pixels &operator*() const { return pixels_; }
    const Pixels *operator->() const { return &pixels_; }

private:
    void read(const Props &props) {
        const std::string depth = props.text(ofx::kImageEffectPropPixelDepth), components = props.text(ofx::kImageEffectPropComponents);
        pixels_.depth = depth == ofx::kBitDepthByte    ? Depth::Byte
                        : depth == ofx::kBitDepthShort ? Depth::Short
                        : depth == ofx::kBitDepthHalf  ? Depth::Half
                                                       : Depth::Float;
        pixels_.components = components == ofx::kImageComponentRGB     ? Components::RGB
                             : components == ofx::kImageComponentAlpha ? Components::Alpha
                                                                       : Components::RGBA;
        pixels_.premultiplied = props.text(ofx::kImageEffectPropPreMultiplication) == ofx::kImagePreMultiplied;
        pixels_.row_bytes = props.integer(ofx::kImagePropRowBytes);
        int bounds[4] = {};
        suites().property->propGetIntN(handle_, ofx::kImagePropBounds, 4, bounds);
        pixels_.bounds = {bounds[0], bounds[1], bounds[2], bounds[3]};
        const std::int64_t row = std::int64_t(pixels_.width()) * std::int64_t(pixel_bytes(pixels_.depth, pixels_.components));
        const bool known = depth == ofx::kBitDepthByte || depth == ofx::kBitDepthShort || depth == ofx::kBitDepthHalf || depth == ofx::kBitDepthFloat;
        if (known && (std::abs(std::int64_t(pixels_.row_bytes)) >= row || pixels_.height() == 1))
            pixels_.data = static_cast<unsigned char *>(props.pointer(ofx::kImagePropData));
    }
    ofx::PropertySetHandle handle_ = nullptr;
    Pixels pixels_;
};

bool same_size(const Pixels &a, const Pixels &b) { return a.width() == b.width() && a.height() == b.height(); }

// Puts a picture where the server can read it; one that is there already is not moved again.
void add_picture(Job &job, const Pixels &pixels, bool alone) {
    Pool &pool = Server::only().pool();
    Mark mark{};
    if (!alone) {
        mark = read_picture(pixels, nullptr);
        if (Lease known = pool.find(mark, pixels.picture_bytes())) {
            job.pictures.push_back(std::move(known));
            job.marks.push_back(mark);
            return;
        }
    }
    Lease lease = pool.take(pixels.picture_bytes());
    mark = read_picture(pixels, lease.picture());
    if (!alone)
        pool.keep(lease, mark);
    job.pictures.push_back(std::move(lease));
    job.marks.push_back(mark);
}

// Fills the window of pictures. Where a neighbour is missing, or of another size, the window shrinks to what is there.
void add_window(Job &job, const Instance &instance, const Pixels &middle, ofx::Time time, int reach) {
    const ofx::RangeD range = frame_range(instance.source, time);
    const auto times = window_times(time, reach, range);
    std::vector<Job> sides(std::size_t(2 * reach + 1));
    int whole = 0;
    for (int step = 1; step <= reach; ++step) {
        bool both = true;
        for (const int at : {reach - step, reach + step}) {
            const HostImage image(instance.source, times[std::size_t(at)]);
            both = both && image && same_size(*image, middle);
            if (both)
                add_picture(sides[std::size_t(at)], *image, false);
        }
        if (!both)
            break;
        whole = step;
    }
    add_picture(sides[std::size_t(reach)], middle, whole == 0);
    for (int at = reach - whole; at <= reach + whole; ++at) {
        job.pictures.push_back(std::move(sides[std::size_t(at)].pictures[0]));
        job.marks.push_back(sides[std::size_t(at)].marks[0]);
    }
}

struct Frame {
    ofx::Time time;
    ofx::RectI window;
    double scale;
    bool thumbnail;
};

Frame frame_of(const Props &arguments) {
    ofx::RectI window{};
    for (int i = 0; i < 4; ++i)
        (&window.x1)[i] = arguments.integer(ofx::kImageEffectPropRenderWindow, i);
    const double scale = arguments.number(ofx::kImageEffectPropRenderScale, 1, 1.0);
    const bool thumbnail = arguments.text(ofx::kImageEffectPropThumbnailRender) == "true";
    return {arguments.number(ofx::kPropTime), window, scale > 0 && scale < 1 ? scale : 1.0, thumbnail};
}

Job job_of(const Instance &instance, const Values &values, const Pixels &source, const Frame &frame) {
    Job job;
    job.effect = instance.effect;
    job.frame = std::llround(frame.time - frame_range(instance.source, frame.time).min);
    job.width = source.width();
    job.height = source.height();
    job.scale = frame.scale;
    job.numbers = values.numbers;
    job.texts = values.texts;
    add_window(job, instance, source, frame.time, instance.reach(values));
    return job;
}

void show_result(const Instance &instance, const Values &values, const Frame &frame, const Job &job, const Answer &answer, const Pixels &source,
                 const Pixels &output) {
    const auto view = View(int(instance.number(values, "view")));
    const bool grey = view == View::Grain || view == View::GrainX4 || view == View::Difference;
    const HostImage mask(instance.mask, frame.time);
    if (answer.is_source)
        copy_source(source, output, frame.window);
    else
        write_picture(job.out.picture(), source, output, frame.window, mask ? &*mask : nullptr, grey ? Rest::Grey : Rest::Source);
    if (view == View::Status) {
        char took[96];
        std::snprintf(took, sizeof took, "%.0f ms in the server%s", answer.milliseconds, answer.cached ? ", layers at hand" : "");
        draw_lines(output, frame.window, std::string(kEffectNames[instance.effect]) + "\n" + answer.note + "\n" + took);
    }
}

// Renders into `output`, or throws with the reason why not.
void render_frame(Instance &instance, const Values &values, const Frame &frame, const Pixels &source, const Pixels &output) {
    if (frame.thumbnail || instance.is_identity(values)) {
        copy_source(source, output, frame.window);
        return;
    }
    if (source.width() > int(wire::kLargestSide) || source.height() > int(wire::kLargestSide))
        throw Failure{"The picture is larger than 32768 pixels across or down; work at a smaller size."};
    const Aborted aborted = [&] { return suites().effect->abort(instance.handle) != 0; };
    Job job = job_of(instance, values, source, frame);
    job.out = Server::only().pool().take(source.picture_bytes());
    const Answer answer = Server::only().render(job, aborted);
    show_result(instance, values, frame, job, answer, source, output);
}

// Whatever went wrong, the host sees the source, or black where there is none.
void fall_back(Instance &instance, const Frame &frame, const HostImage &source, const Pixels &output, const std::string &sentence) {
    Pixels nothing = output;
    nothing.bounds = {0, 0, 0, 0};
    copy_source(source ? *source : nothing, output, frame.window);
    if (sentence.empty())
        return; // the host aborted
    instance.say(sentence);
    if (instance.number(instance.values(frame.time), "view") == int(View::Status))
        draw_lines(output, frame.window, std::string(kEffectNames[instance.effect]) + "\n" + sentence);
}

// Times spread evenly over the shot, an odd number of them.
std::vector<ofx::Time> analysed_times(const ofx::RangeD &range) {
    const double frames = std::floor(range.max - range.min) + 1;
    const int count = frames >= kMostAnalysed ? kMostAnalysed : frames >= 3 ? int(frames - 1) / 2 * 2 + 1 : 1;
    std::vector<ofx::Time> times;
    for (int i = 0; i < count; ++i)
        times.push_back(range.min + std::floor(frames * (i + 0.5) / count));
    return times;
}

// Tells the host how far the analysis is; true where the user has had enough.
class Progress {
public:
    explicit Progress(Instance &instance) : handle_(instance.handle) {
        if (suites().progress2 && suites().progress2->progressStart)
            suites().progress2->progressStart(handle_, "Measuring grain", "");
        else if (suites().progress && suites().progress->progressStart)
            suites().progress->progressStart(handle_, "Measuring grain");
    }
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;
    ~Progress() {
        if (suites().progress2 && suites().progress2->progressEnd)
            suites().progress2->progressEnd(handle_);
        else if (suites().progress && suites().progress->progressEnd)
            suites().progress->progressEnd(handle_);
    }
    bool stopped(double share) const {
        if (suites().progress2 && suites().progress2->progressUpdate)
            return suites().progress2->progressUpdate(handle_, share) == ofx::kStatReplyNo;
        return suites().progress && suites().progress->progressUpdate && suites().progress->progressUpdate(handle_, share) == ofx::kStatReplyNo;
    }

private:
    ofx::ImageEffectHandle handle_;
};

void collect(Job &job, const Instance &instance, ofx::Time time) {
    for (const ofx::Time at : analysed_times(frame_range(instance.source, time))) {
        const HostImage image(instance.source, at);
        if (!image || (job.width && (image->width() != job.width || image->height() != job.height)))
            continue;
        job.width = image->width();
        job.height = image->height();
        add_picture(job, *image, false);
    }
    if (job.pictures.size() % 2 == 0 && !job.pictures.empty()) {
        job.pictures.pop_back();
        job.marks.pop_back();
    }
    if (job.pictures.empty())
        throw Failure{"The source clip gives no picture to measure; connect it and press Analyse again."};
}

} // namespace

ofx::Status render(Instance &instance, const Props &arguments) {
    const Frame frame = frame_of(arguments);
    const HostImage output(instance.output, frame.time);
    if (!output)
        return ofx::kStatFailed;
    const HostImage source(instance.source, frame.time);
    std::string sentence = "The source clip gives no picture for this frame; connect it.";
    try {
        if (source) {
            render_frame(instance, instance.values(frame.time), frame, *source, *output);
            instance.well();
            return ofx::kStatOK;
        }
    } catch (const Failure &failure) {
        sentence = failure.aborted ? "" : failure.sentence;
    } catch (const std::bad_alloc &) {
        sentence = kNoMemory;
    }
    fall_back(instance, frame, source, *output, sentence);
    return ofx::kStatFailed;
}

// Measures the shot and keeps its profile; on the host's main thread.
ofx::Status analyse(Instance &instance, ofx::Time time) {
    try {
        const Progress progress(instance);
        const Values values = instance.values(time);
        Job job;
        job.effect = instance.effect;
        job.numbers = values.numbers;
        job.texts = values.texts;
        collect(job, instance, time);
        auto told = std::chrono::steady_clock::now();
        const std::string profile = Server::only().analyse(job, [&] {
            const auto now = std::chrono::steady_clock::now();
            if (now - told < std::chrono::milliseconds(100))
                return false;
            told = now;
            return progress.stopped(0.5);
        });
        if (const ofx::ParamHandle param = instance.param("profile_data"))
            suites().param->paramSetValue(param, profile.c_str());
        instance.well();
        return ofx::kStatOK;
    } catch (const Failure &failure) {
        if (!failure.aborted)
            instance.say(failure.sentence);
    } catch (const std::bad_alloc &) {
        instance.say(kNoMemory);
    }
    return ofx::kStatFailed;
}

} // namespace grainlayer
