#include "segments.h"

#include <algorithm>
#include <new>

namespace grainlayer {

constexpr std::size_t kIdle = std::size_t(1) << 30; // bytes kept mapped for the next frames, beside the two last segments

Lease &Lease::operator=(Lease &&other) noexcept {
    release();
    pool_ = std::exchange(other.pool_, nullptr);
    segment_ = std::move(other.segment_);
    spoilt_ = other.spoilt_;
    return *this;
}

void Lease::release() {
    if (pool_ && segment_)
        pool_->release(segment_, spoilt_);
    segment_.reset();
    pool_ = nullptr;
}

Lease Pool::find(const Mark &mark, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    for (auto &segment : all_)
        if (segment->holds_picture && segment->mark == mark && segment->memory.size() >= bytes) {
            ++segment->users;
            segment->last_use = ++clock_;
            return {this, segment};
        }
    return {};
}

Lease Pool::take(std::size_t bytes) {
    {
        const std::lock_guard lock(mutex_);
        std::shared_ptr<Segment> best;
        for (auto &segment : all_) {
            const bool fits = !segment->users && segment->memory.size() >= bytes && segment->memory.size() / 2 <= bytes;
            if (fits && (!best || std::pair(segment->holds_picture, segment->last_use) < std::pair(best->holds_picture, best->last_use)))
                best = segment;
        }
        // A picture that a neighbouring frame may want is taken only when there are many.
        if (best && (!best->holds_picture || std::ranges::count_if(all_, [](auto &s) { return s->holds_picture; }) > 12)) {
            best->holds_picture = false;
            ++best->users;
            best->last_use = ++clock_;
            return {this, best};
        }
    }
    auto segment = std::make_shared<Segment>();
    if (!segment->memory.make(bytes)) {
        trim(0);
        if (!segment->memory.make(bytes))
            throw std::bad_alloc();
    }
    const std::lock_guard lock(mutex_);
    segment->users = 1;
    segment->last_use = ++clock_;
    all_.push_back(segment);
    return {this, segment};
}

void Pool::keep(const Lease &lease, const Mark &mark) {
    const std::lock_guard lock(mutex_);
    lease->mark = mark;
    lease->holds_picture = true;
}

void Pool::release(const std::shared_ptr<Segment> &segment, bool spoilt) {
    {
        const std::lock_guard lock(mutex_);
        --segment->users;
        if (spoilt)
            std::erase(all_, segment);
    }
    if (spoilt)
        gone_(*segment);
    else
        trim(std::max(kIdle, 2 * segment->memory.size()));
}

void Pool::trim(std::size_t most_idle) {
    std::vector<std::shared_ptr<Segment>> old;
    {
        const std::lock_guard lock(mutex_);
        std::size_t idle = 0;
        for (auto &segment : all_)
            idle += segment->users ? 0 : segment->memory.size();
        while (idle > most_idle) {
            auto oldest = all_.end();
            for (auto at = all_.begin(); at != all_.end(); ++at)
                if (!(*at)->users && (oldest == all_.end() || (*at)->last_use < (*oldest)->last_use))
                    oldest = at;
            idle -= (*oldest)->memory.size();
            old.push_back(*oldest);
            all_.erase(oldest);
        }
    }
    for (auto &segment : old)
        gone_(*segment);
}

} // namespace grainlayer
