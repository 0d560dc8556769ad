// Shared memory that is used again and again: one segment a picture, sized by request, kept mapped between frames.
#pragma once

#include "pixels.h"
#include "platform.h"

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace grainlayer {

struct Segment {
    SharedMemory memory;
    std::mutex registering;
    std::uint64_t session = 0; // the session that knows it, and by which number
    std::uint32_t id = 0;
    // Guarded by the pool:
    Mark mark{};
    bool holds_picture = false;
    int users = 0;
    std::uint64_t last_use = 0;
};

class Pool;

// A use of a segment. One that is spoilt is not used again: the server may still be writing to it.
class Lease {
public:
    Lease() = default;
    Lease(Pool *pool, std::shared_ptr<Segment> segment) : pool_(pool), segment_(std::move(segment)) {}
    Lease(Lease &&other) noexcept : pool_(std::exchange(other.pool_, nullptr)), segment_(std::move(other.segment_)), spoilt_(other.spoilt_) {}
    Lease &operator=(Lease &&other) noexcept;
    ~Lease() { release(); }
    Segment &operator*() const { return *segment_; }
    Segment *operator->() const { return segment_.get(); }
    explicit operator bool() const { return segment_ != nullptr; }
    float *picture() const { return reinterpret_cast<float *>(segment_->memory.data()); }
    void spoil() { spoilt_ = true; }
    void release();

private:
    Pool *pool_ = nullptr;
    std::shared_ptr<Segment> segment_;
    bool spoilt_ = false;
};

class Pool {
public:
    // Called with every segment that is let go, outside the lock.
    explicit Pool(std::function<void(const Segment &)> gone) : gone_(std::move(gone)) {}
    Lease find(const Mark &mark, std::size_t bytes); // a picture already there, or nothing
    Lease take(std::size_t bytes);                   // room for a picture; throws std::bad_alloc
    void keep(const Lease &lease, const Mark &mark); // it holds this picture from now on
    void trim(std::size_t most_idle);                // let idle segments go until they hold no more bytes than this

private:
    friend class Lease;
    void release(const std::shared_ptr<Segment> &segment, bool spoilt);
    std::mutex mutex_;
    std::vector<std::shared_ptr<Segment>> all_;
    std::uint64_t clock_ = 0;
    std::function<void(const Segment &)> gone_;
};

} // namespace grainlayer
