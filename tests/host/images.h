// Pixel buffers as a host hands them out: any origin, padding and row order, with guards.
#pragma once

#include "../../ofx_bridge/abi.h"
#include "pixels.h"
#include "properties.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace host {

struct Layout {
    int originX = 0;
    int originY = 0;
    int pad = 0;           // bytes after each row
    bool negative = false; // the rows lie top first in memory
    bool operator==(const Layout &) const = default;
};

struct Damage {
    std::size_t unwritten = 0; // pixels of the window that still hold the poison
    std::size_t outside = 0;   // bytes changed outside the window
};

// Whole memory starts as a poison pattern. Under AddressSanitizer the pixels may only be touched
// while somebody uses the buffer (see use and leave).
class Buffer {
  public:
    Buffer(Format format, const Layout &layout, const ofx::RectI &bounds);
    ~Buffer();
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    Format format() const { return format_; }
    const Layout &layout() const { return layout_; }
    const ofx::RectI &bounds() const { return bounds_; }
    int width() const { return bounds_.x2 - bounds_.x1; }
    int height() const { return bounds_.y2 - bounds_.y1; }
    int rowBytes() const;
    std::size_t bytes() const { return size_; }
    unsigned char *row(int y) const; // bounds.y1 <= y < bounds.y2; the first pixel of the row

    void poison();
    Damage inspect(const ofx::RectI &window) const;

    // Only changes outside of pixels, and a sum over everything, to notice writes to an input.
    void seal();
    bool isIntact();
    bool isTouched() const { return touched_; } // used since it was last found intact

    void use();
    void leave();

  private:
    std::uint64_t sum() const;
    std::size_t changed(const unsigned char *at, std::size_t count, std::size_t phase) const;

    Format format_;
    Layout layout_;
    ofx::RectI bounds_;
    std::size_t stride_;
    std::size_t size_;
    std::unique_ptr<unsigned char[]> memory_;
    std::uint64_t seal_ = 0;
    std::mutex mutex_;
    int users_ = 0;
    std::atomic<bool> touched_ = false;
};

// The window as float32 RGBA (or 16-bit RGBA), top row first.
std::vector<float> windowPixels(const Buffer &buffer, const ofx::RectI &window);
std::vector<std::uint16_t> windowPixels16(const Buffer &buffer, const ofx::RectI &window);

struct Scope;

// What clipGetImage gives: a property set over a buffer, which it uses while it lives.
class Image : public PropertySet {
  public:
    Image(std::string title, std::shared_ptr<Buffer> pixels, Scope *givenIn);
    ~Image() override;

    const std::shared_ptr<Buffer> buffer;
    Scope *const scope;
};

} // namespace host
