#include "images.h"

#include <algorithm>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define HOST_HAS_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOST_HAS_ASAN
#endif
#endif

#ifdef HOST_HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace host {

namespace {

constexpr std::size_t kGuard = 256;

// Values that no picture holds: saturated magenta in bytes, next to nothing in half and float.
constexpr unsigned char kPoison[] = {0xfd, 0x02, 0xfb, 0x03};

void closeMemory([[maybe_unused]] void *at, [[maybe_unused]] std::size_t count)
{
#ifdef HOST_HAS_ASAN
    ASAN_POISON_MEMORY_REGION(at, count);
#endif
}

void openMemory([[maybe_unused]] void *at, [[maybe_unused]] std::size_t count)
{
#ifdef HOST_HAS_ASAN
    ASAN_UNPOISON_MEMORY_REGION(at, count);
#endif
}

void fillPoison(unsigned char *at, std::size_t count)
{
    for (std::size_t i = 0; i < count; ++i) {
        at[i] = kPoison[i % 4];
    }
}

} // namespace

Buffer::Buffer(Format format, const Layout &layout, const ofx::RectI &bounds)
    : format_(format), layout_(layout), bounds_(bounds),
      stride_(static_cast<std::size_t>((bounds.x2 - bounds.x1) * format.pixelBytes() + layout.pad)),
      size_(stride_ * static_cast<std::size_t>(bounds.y2 - bounds.y1)),
      memory_(std::make_unique_for_overwrite<unsigned char[]>(size_ + 2 * kGuard))
{
    poison();
}

Buffer::~Buffer() { openMemory(memory_.get() + kGuard, size_); }

int Buffer::rowBytes() const
{
    const int bytes = static_cast<int>(stride_);
    return layout_.negative ? -bytes : bytes;
}

unsigned char *Buffer::row(int y) const
{
    const int up = y - bounds_.y1;
    const int line = layout_.negative ? height() - 1 - up : up;
    return memory_.get() + kGuard + static_cast<std::size_t>(line) * stride_;
}

void Buffer::poison()
{
    fillPoison(memory_.get(), kGuard);
    fillPoison(memory_.get() + kGuard + size_, kGuard);
    if (height() == 0) {
        return;
    }
    unsigned char *const first = memory_.get() + kGuard;
    fillPoison(first, stride_);
    for (int line = 1; line < height(); ++line) {
        std::memcpy(first + static_cast<std::size_t>(line) * stride_, first, stride_);
    }
}

// How many of `count` bytes differ from the pattern; `phase` is their distance from the row start.
std::size_t Buffer::changed(const unsigned char *at, std::size_t count, std::size_t phase) const
{
    std::size_t differing = 0;
    for (std::size_t i = 0; i < count; ++i) {
        differing += at[i] != kPoison[(phase + i) % 4] ? 1u : 0u;
    }
    return differing;
}

Damage Buffer::inspect(const ofx::RectI &window) const
{
    Damage damage;
    const auto pixel = static_cast<std::size_t>(format_.pixelBytes());
    damage.outside = changed(memory_.get(), kGuard, 0);
    damage.outside += changed(memory_.get() + kGuard + size_, kGuard, 0);
    const auto left = static_cast<std::size_t>(window.x1 - bounds_.x1) * pixel;
    const auto right = static_cast<std::size_t>(window.x2 - bounds_.x1) * pixel;
    for (int y = bounds_.y1; y < bounds_.y2; ++y) {
        const unsigned char *const start = row(y);
        if (y < window.y1 || y >= window.y2) {
            damage.outside += changed(start, stride_, 0);
            continue;
        }
        damage.outside += changed(start, left, 0);
        damage.outside += changed(start + right, stride_ - right, right);
        for (std::size_t at = left; at < right; at += pixel) {
            const bool held = start[at] == kPoison[at % 4] && changed(start + at, pixel, at) == 0;
            damage.unwritten += held ? 1u : 0u;
        }
    }
    return damage;
}

std::uint64_t Buffer::sum() const
{
    std::uint64_t total = 0xcbf29ce484222325u;
    const unsigned char *at = memory_.get();
    std::size_t left = size_ + 2 * kGuard;
    for (; left >= 8; left -= 8, at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, 8);
        total = (total ^ word) * 0x9e3779b97f4a7c15u;
        total ^= total >> 29;
    }
    for (; left > 0; --left, ++at) {
        total = (total ^ *at) * 0x9e3779b97f4a7c15u;
    }
    return total;
}

void Buffer::seal()
{
    seal_ = sum();
    closeMemory(memory_.get() + kGuard, size_);
}

bool Buffer::isIntact()
{
    use();
    const bool intact = sum() == seal_;
    leave();
    touched_ = false;
    return intact;
}

void Buffer::use()
{
    touched_ = true;
    const std::lock_guard lock(mutex_);
    if (users_++ == 0) {
        openMemory(memory_.get() + kGuard, size_);
    }
}

void Buffer::leave()
{
    const std::lock_guard lock(mutex_);
    if (--users_ == 0) {
        closeMemory(memory_.get() + kGuard, size_);
    }
}

namespace {

template <typename T, typename Unpack>
std::vector<T> readWindow(const Buffer &buffer, const ofx::RectI &window, Unpack unpack)
{
    const int width = window.x2 - window.x1;
    const auto row = static_cast<std::size_t>(width) * 4;
    std::vector<T> out(row * static_cast<std::size_t>(window.y2 - window.y1));
    T *at = out.data();
    for (int y = window.y2 - 1; y >= window.y1; --y, at += row) {
        const int skipped = (window.x1 - buffer.bounds().x1) * buffer.format().pixelBytes();
        unpack(buffer.row(y) + skipped, width, buffer.format(), at);
    }
    return out;
}

} // namespace

std::vector<float> windowPixels(const Buffer &buffer, const ofx::RectI &window)
{
    return readWindow<float>(buffer, window, unpackRow);
}

std::vector<std::uint16_t> windowPixels16(const Buffer &buffer, const ofx::RectI &window)
{
    return readWindow<std::uint16_t>(buffer, window, unpackRow16);
}

Image::Image(std::string title, std::shared_ptr<Buffer> pixels, Scope *givenIn)
    : PropertySet(std::move(title)), buffer(std::move(pixels)), scope(givenIn)
{
    buffer->use();
}

Image::~Image() { buffer->leave(); }

} // namespace host
