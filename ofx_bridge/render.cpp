#include "effects.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <new>
#include <optional>

namespace grainlayer {
namespace {

constexpr int kMostAnalysed = 7;

#include "glyphs.inc"
constexpr std::array<float, 4> kPaper{0.06F, 0.06F, 0.06F, 1.0F}, kInk{0.92F, 0.92F, 0.92F, 1.0F};

template <std::size_t Count> std::size_t among(const char *const (&names)[Count], const std::string &name) {
    return std::size_t(std::find(names, names + Count, name) - names);
}

// An image of a clip, given back when this goes. It is false where the host gives none, or one of another kind.
class HostImage : public Pixels {
public:
    HostImage(ofx::ImageClipHandle clip, ofx::Time time) {
        ofx::PropertySetHandle given = nullptr;
        if (clip && suites().effect->clipGetImage(clip, time, nullptr, &given) == ofx::kStatOK)
            handle_.reset(given);
        if (handle_)
            read(Props(given));
    }
    explicit operator bool() const { return data && width() > 0 && height() > 0; }

private:
    struct GiveBack {
        void operator()(ofx::PropertySetHandle handle) const { suites().effect->clipReleaseImage(handle); }
    };
    void read(const Props &props) {
        const auto known = among(kDepths, props.text(ofx::kImageEffectPropPixelDepth));
        depth = Depth(known);
        components = Components(among(kComponents, props.text(ofx::kImageEffectPropComponents)) % std::size(kComponents));
        premultiplied = props.text(ofx::kImageEffectPropPreMultiplication) == ofx::kImagePreMultiplied;
        row_bytes = props.integer(ofx::kImagePropRowBytes);
        for (int i = 0; i < 4; ++i)
            (&bounds.x1)[i] = props.integer(ofx::kImagePropBounds, i);
        const auto least = std::int64_t(width()) * std::int64_t(pixel_bytes(depth, components));
        if (known < std::size(kDepths) && (std::abs(row_bytes) >= least || height() == 1))
            data = static_cast<unsigned char *>(props.pointer(ofx::kImagePropData));
    }
    std::unique_ptr<ofx::PropertySetStruct, GiveBack> handle_;
};

bool same_size(const Pixels &a, const Pixels &b) { return a.width() == b.width() && a.height() == b.height(); }

// Returns the window of pictures. Where a neighbour is missing, or of another size, the window shrinks to what is there.
std::vector<Lease> lend_window(const Instance &instance, const Pixels &middle, const std::vector<ofx::Time> &times) {
    const std::size_t reach = times.size() / 2;
    std::vector<Lease> window;
    for (std::size_t step = 1; step <= reach; ++step) {
        if (times[reach - step] == times[reach] && times[reach + step] == times[reach])
            break; // nothing but the picture itself again
        const HostImage before(instance.source, times[reach - step]), after(instance.source, times[reach + step]);
        if (!before || !after || !same_size(before, middle) || !same_size(after, middle))
            break;
        window.insert(window.begin(), lend(before));
        window.push_back(lend(after));
    }
    window.insert(window.begin() + std::ptrdiff_t(window.size() / 2), lend(middle, window.empty()));
    return window;
}

// Breaks lines at spaces so that none is longer than `most` letters.
std::vector<std::string> broken(const std::string &text, std::size_t most) {
    std::vector<std::string> lines;
    for (std::string line : parts_of(text, '\n')) {
        while (line.size() > most) {
            const std::size_t space = line.rfind(' ', most), cut = space == std::string::npos || space == 0 ? most : space;
            lines.push_back(line.substr(0, cut));
            line.erase(0, line[cut] == ' ' ? cut + 1 : cut);
        }
        if (!line.empty())
            lines.push_back(line);
    }
    return lines;
}

void draw_letter(const Pixels &image, const ofx::RectI &window, unsigned char letter, int x, int top, int dot) {
    const unsigned char *rows = kGlyphs[letter >= 32 && letter < 127 ? letter - 32 : '?' - 32];
    for (int row = 0; row < 7; ++row)
        for (int column = 0; column < 5; ++column)
            if (rows[row] >> (4 - column) & 1)
                fill(image, window, {x + column * dot, top - (row + 1) * dot, x + (column + 1) * dot, top - row * dot}, kInk);
}

// Draws lines of text into the top left corner, as large as the picture allows.
void draw_lines(const Pixels &image, const ofx::RectI &window, const std::string &text) {
    const int dot = std::max(1, image.height() / 360);
    const std::size_t most = std::size_t(std::max(1, image.width() / (6 * dot) - 2));
    const auto lines = broken(text, most);
    std::size_t longest = 0;
    for (const auto &line : lines)
        longest = std::max(longest, line.size());
    const int left = image.bounds.x1, top = image.bounds.y2;
    fill(image, window, {left, top - (int(lines.size()) * 10 + 4) * dot, left + (int(longest) * 6 + 6) * dot, top}, kPaper);
    for (std::size_t row = 0; row < lines.size(); ++row)
        for (std::size_t i = 0; i < lines[row].size(); ++i)
            draw_letter(image, window, static_cast<unsigned char>(lines[row][i]), left + (3 + int(i) * 6) * dot,
                        top - (4 + int(row) * 10) * dot, dot);
}

struct Frame {
    explicit Frame(const Props &arguments) : time(arguments.number(ofx::kPropTime)) {
        for (int i = 0; i < 4; ++i)
            (&window.x1)[i] = arguments.integer(ofx::kImageEffectPropRenderWindow, i);
        if (const double down = arguments.number(ofx::kImageEffectPropRenderScale, 1, 1.0); down > 0 && down < 1)
            scale = down;
        thumbnail = arguments.text(ofx::kImageEffectPropThumbnailRender) == "true";
        const std::string rows = arguments.text(ofx::kImageEffectPropFieldToRender);
        field = rows == ofx::kImageFieldLower || rows == ofx::kImageFieldUpper;
    }
    ofx::Time time;
    ofx::RectI window{};
    double scale = 1;
    bool thumbnail = false, field = false;
};

void show_result(const Instance &instance, const Frame &frame, const Job &job, const Answer &answer, const Pixels &source,
                 const Pixels &output) {
    const auto view = View(int(job.values["view"]));
    const bool grey = view == View::Grain || view == View::GrainX4 || view == View::Difference;
    const HostImage mask(instance.mask, frame.time);
    const bool masked = mask || (instance.mask && Props(instance.mask).integer(ofx::kImageClipPropConnected));
    const Pixels nothing, &share = mask ? static_cast<const Pixels &>(mask) : nothing; // a mask without a picture is black
    if (answer.is_source)
        copy_source(source, output, frame.window);
    else
        write_picture(picture_in(job.out), source, output, frame.window, masked ? &share : nullptr, grey ? Rest::Grey : Rest::Source);
    if (view == View::Status) {
        char took[96];
        std::snprintf(took, sizeof took, "%.0f ms in the server%s", answer.milliseconds, answer.cached ? ", layers at hand" : "");
        draw_lines(output, frame.window, std::string(kEffectNames[instance.effect]) + "\n" + answer.note + "\n" + took);
    }
}

// Renders into `output`, or throws with the reason why not. Returns what the user should know all the same.
std::string render_frame(const Instance &instance, const Frame &frame, const HostImage &source, const Pixels &output) {
    if (!source)
        throw Failure{"The source clip gives no picture for this frame; connect it."};
    Job job;
    job.values = instance.values(frame.time);
    auto aborted = [&] { return suites().effect->abort(instance.handle) != 0; };
    if (frame.thumbnail || instance.is_identity(job.values)) {
        copy_source(source, output, frame.window);
        if (!frame.thumbnail && !server::is_told(job.values))
            server::tell(instance.effect, job.values, aborted);
        return "";
    }
    if (frame.field)
        throw Failure{"The host renders single fields, in which grain cannot be told from detail; switch field processing off, or "
                      "deinterlace before this effect."};
    if (std::max(source.width(), source.height()) > int(wire::kLargestSide))
        throw Failure{"The picture is larger than 32768 pixels across or down; work at a smaller size."};
    job.effect = instance.effect;
    job.frame = std::llround(frame.time - frame_range(instance.source, frame.time).min);
    job.width = source.width();
    job.height = source.height();
    job.scale = frame.scale;
    job.pictures = lend_window(instance, source, instance.window(frame.time, job.values));
    const Answer answer = server::render(job, aborted);
    show_result(instance, frame, job, answer, source, output);
    return job.values["view"] == int(View::Status) ? "" : answer.note;
}

// Whatever went wrong, the host sees the source, or black where there is none.
void fall_back(const Instance &instance, const Frame &frame, const HostImage &source, const Pixels &output, const std::string &sentence) {
    Pixels nothing = output;
    nothing.bounds = {0, 0, 0, 0};
    copy_source(source ? static_cast<const Pixels &>(source) : nothing, output, frame.window);
    if (!sentence.empty() && instance.values(frame.time)["view"] == int(View::Status))
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

Job analysis(const Instance &instance, ofx::Time time) {
    Job job;
    job.effect = instance.effect;
    job.values = instance.values(time);
    for (const ofx::Time at : analysed_times(frame_range(instance.source, time))) {
        const HostImage image(instance.source, at);
        if (!image || (job.width && (image.width() != job.width || image.height() != job.height)))
            continue;
        job.width = image.width();
        job.height = image.height();
        job.pictures.push_back(lend(image));
    }
    if (job.pictures.empty())
        throw Failure{"The source clip gives no picture to measure; connect it and press Analyse again."};
    if (job.pictures.size() % 2 == 0)
        job.pictures.pop_back();
    return job;
}

// Does a piece of work. Returns why it failed, in a sentence that is empty where the host aborted, or nothing.
template <typename Work> std::optional<std::string> failure_of(const Work &work) {
    try {
        work();
        return std::nullopt;
    } catch (const Failure &failure) {
        return failure.aborted ? "" : failure.sentence;
    } catch (const std::bad_alloc &) {
        return "There is not enough memory for pictures of this size; close other programs, or work at a smaller size.";
    } catch (const std::exception &error) {
        return std::string("The system refused what GrainLayer needs (") + error.what() + "); restart the host.";
    }
}

// Shows a failure's sentence or a warning in the host, or takes an old one away.
ofx::Status told_host(Instance &instance, const std::optional<std::string> &failure, const std::string &warning = "") {
    if (failure && !failure->empty()) // else the host aborted
        instance.say(*failure, ofx::kMessageError);
    else if (!failure && !warning.empty())
        instance.say(warning, ofx::kMessageWarning);
    else if (!failure)
        instance.well();
    return failure ? ofx::kStatFailed : ofx::kStatOK;
}

} // namespace

ofx::Status render(Instance &instance, const Props &in, const Props &) {
    const Frame frame(in);
    const HostImage output(instance.output, frame.time);
    if (!output)
        return ofx::kStatFailed;
    const HostImage source(instance.source, frame.time);
    std::string warning;
    const auto failure = failure_of([&] { warning = render_frame(instance, frame, source, output); });
    if (failure)
        fall_back(instance, frame, source, output, *failure);
    return told_host(instance, failure, warning);
}

// Measures the shot and keeps its profile; on the host's main thread. Hosts draw at every word of progress: they get ten a second.
ofx::Status analyse(Instance &instance, ofx::Time time, double scale) {
    using std::chrono::steady_clock;
    const ofx::ProgressSuiteV1 none{}, &progress = suites().progress ? *suites().progress : none;
    auto told = steady_clock::now();
    auto stopped = [&] {
        if (!progress.progressUpdate || steady_clock::now() - told < std::chrono::milliseconds(100))
            return false;
        told = steady_clock::now();
        return progress.progressUpdate(instance.handle, 0.5) == ofx::kStatReplyNo;
    };
    if (progress.progressStart)
        progress.progressStart(instance.handle, "Measuring grain");
    const auto failure = failure_of([&] {
        if (scale > 0 && scale < 1)
            throw Failure{"The host shows the pictures smaller than they are: switch to full resolution and press Analyse again."};
        Job job = analysis(instance, time);
        const std::string profile = server::analyse(job, stopped);
        if (const ofx::ParamHandle param = instance.param("profile_data"))
            suites().param->paramSetValue(param, profile.c_str());
    });
    if (progress.progressEnd)
        progress.progressEnd(instance.handle);
    return told_host(instance, failure);
}

// The server's report on itself, or why there is none.
std::string doctor() {
    std::string report;
    const auto failure = failure_of([&] { report = server::doctor(); });
    return failure ? *failure : report;
}

} // namespace grainlayer
