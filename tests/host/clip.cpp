// Clips: their pictures, read from raw files, converted and kept for a while.
#include "effect.h"
#include "host.h"
#include "ledger.h"
#include "property_tables.h"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace host {

namespace {

constexpr std::size_t kCacheBytes = std::size_t{512} << 20;

template <typename T> std::vector<T> readFrame(const Source &source, int frame, std::size_t count)
{
    std::vector<T> values(count);
    std::ifstream file(source.path, std::ios::binary);
    const auto bytes = static_cast<std::streamoff>(count * sizeof(T));
    file.seekg(bytes * frame);
    file.read(reinterpret_cast<char *>(values.data()), bytes);
    if (file.gcount() != bytes) {
        values.clear();
    }
    return values;
}

// The mean of the source pixels that a smaller pixel covers.
template <typename T>
std::vector<T> shrink(const std::vector<T> &in, int width, int height, int toWidth, int toHeight)
{
    std::vector<T> out(static_cast<std::size_t>(toWidth) * static_cast<std::size_t>(toHeight) * 4);
    const auto edge = [](int i, int from, int to) {
        return std::min(from, static_cast<int>(static_cast<long>(i) * from / to));
    };
    for (int y = 0; y < toHeight; ++y) {
        const int y1 = edge(y, height, toHeight);
        const int y2 = std::max(y1 + 1, edge(y + 1, height, toHeight));
        for (int x = 0; x < toWidth; ++x) {
            const int x1 = edge(x, width, toWidth);
            const int x2 = std::max(x1 + 1, edge(x + 1, width, toWidth));
            for (int c = 0; c < 4; ++c) {
                double sum = 0;
                for (int v = y1; v < y2; ++v) {
                    for (int u = x1; u < x2; ++u) {
                        sum += in[static_cast<std::size_t>((v * width + u) * 4 + c)];
                    }
                }
                out[static_cast<std::size_t>((y * toWidth + x) * 4 + c)]
                    = static_cast<T>(sum / ((y2 - y1) * (x2 - x1)));
            }
        }
    }
    return out;
}

template <typename T, typename Pack>
bool fill(Buffer &buffer, const Clip &clip, int frame, Pack pack)
{
    const Settings &project = clip.effect.settings;
    const std::size_t count = static_cast<std::size_t>(project.width) * 4
        * static_cast<std::size_t>(project.height);
    auto pixels = readFrame<T>(*clip.source, frame, count);
    if (pixels.empty()) {
        return false;
    }
    if (buffer.width() != project.width || buffer.height() != project.height) {
        pixels = shrink(pixels, project.width, project.height, buffer.width(), buffer.height());
    }
    const T *row = pixels.data();
    for (int y = buffer.bounds().y2 - 1; y >= buffer.bounds().y1; --y) {
        pack(row, buffer.width(), buffer.format(), buffer.row(y));
        row += static_cast<std::ptrdiff_t>(buffer.width()) * 4;
    }
    buffer.seal();
    return true;
}

} // namespace

Clip::Clip(Effect &owner, std::string clipName)
    : effect(owner), name(std::move(clipName)), props(makeHandled<PropertySet>("clip " + name))
{
    props->define(clipDescriptorProperties());
    props->put(ofx::kPropType, Cell(std::string(ofx::kTypeClip)));
    props->put(ofx::kPropName, Cell(name));
    props->put(ofx::kPropLabel, Cell(name));
    props->put(ofx::kImageEffectPropSupportsTiles, Cell(1));
    props->put(ofx::kImageClipPropFieldExtraction, Cell(std::string(ofx::kImageFieldDoubled)));
}

Clip::Clip(Effect &owner, const Clip &descriptor)
    : effect(owner), name(descriptor.name), props(makeHandled<PropertySet>("clip " + name)),
      connected(isOutput() || !descriptor.optional())
{
    props->define(clipInstanceProperties());
    props->copyFrom(*descriptor.props);
    setFormat(owner.settings.format);
    connect(connected);
}

Clip::~Clip() { dismiss(*props); }

void Clip::setFormat(Format wanted)
{
    forget();
    format = wanted;
    const std::string depth = depthName(format.depth);
    const std::string components = componentsName(format.components);
    props->put(ofx::kImageEffectPropPixelDepth, Cell(depth));
    props->put(ofx::kImageEffectPropComponents, Cell(components));
    props->put(ofx::kImageClipPropUnmappedPixelDepth, Cell(depth));
    props->put(ofx::kImageClipPropUnmappedComponents, Cell(components));
}

void Clip::setLayout(const Layout &wanted)
{
    forget();
    layout = wanted;
}

void Clip::setSource(Source wanted)
{
    forget();
    source = std::move(wanted);
}

void Clip::connect(bool wanted)
{
    connected = wanted;
    props->put(ofx::kImageClipPropConnected, Cell(wanted ? 1 : 0));
}

void Clip::forget()
{
    checkPictures();
    const std::lock_guard lock(mutex_);
    cache_.clear();
}

ofx::RectI Clip::bounds(double scale) const
{
    const auto scaled = [scale](int size) { return static_cast<int>(std::ceil(size * scale)); };
    const int x = static_cast<int>(std::floor(layout.originX * scale));
    const int y = static_cast<int>(std::floor(layout.originY * scale));
    return {x, y, x + scaled(effect.settings.width), y + scaled(effect.settings.height)};
}

std::shared_ptr<Buffer> Clip::load(int frame, double scale) const
{
    auto buffer = std::make_shared<Buffer>(format, layout, bounds(scale));
    const bool whole = source->raw16
        ? fill<std::uint16_t>(*buffer, *this, frame, packRow16)
        : fill<float>(*buffer, *this, frame, packRow);
    return whole ? buffer : nullptr;
}

std::shared_ptr<Buffer> Clip::picture(double time, double scale)
{
    if (!source || !connected) {
        return nullptr;
    }
    double at = time - effect.settings.first;
    const double last = source->frames - 1;
    if (Host::instance().traits.times == "clamp") {
        at = std::clamp(at, 0.0, last);
    }
    if (!(at >= 0 && at <= last)) {
        return nullptr;
    }
    const int frame = static_cast<int>(std::floor(at));
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(cache_, [&](const Cached &entry) {
        return entry.frame == frame && entry.scale == scale;
    });
    if (found != cache_.end()) {
        cache_.splice(cache_.begin(), cache_, found);
        return cache_.front().buffer;
    }
    auto buffer = load(frame, scale);
    if (buffer) {
        cache_.push_front({frame, scale, buffer});
        while (cache_.size() > 1 && cache_.size() * buffer->bytes() > kCacheBytes) {
            cache_.pop_back();
        }
    }
    return buffer;
}

void Clip::checkPictures()
{
    const std::lock_guard lock(mutex_);
    for (auto entry = cache_.begin(); entry != cache_.end();) {
        if (!entry->buffer->isTouched() || entry->buffer->isIntact()) {
            ++entry;
            continue;
        }
        violation("The plug-in wrote to a picture of the clip " + name + ", which is only lent.");
        entry = cache_.erase(entry);
    }
}

} // namespace host
