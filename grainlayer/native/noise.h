// White Gaussian noise by Philox4x32-10; grain/noise.py says what it is and holds the slow twin.
#pragma once

#include "abi.h"

namespace grainlayer {

constexpr uint32_t kLanes = 32;       // counters made together
constexpr int64_t kBlock = 8;         // samples a counter
constexpr uint32_t kIndexMask = 4095; // 4096 quantiles

struct Stream {
    uint64_t seed;
    uint32_t frame, channel;
    const float* quantiles;
};

// Philox4x32-10 of kLanes counters (block + i, y, frame, channel); words get four a counter, in order.
GRAINLAYER_INLINE void philox_lanes(uint32_t* GRAINLAYER_RESTRICT words, const Stream& stream, uint32_t block, uint32_t y) {
    uint32_t a[kLanes], b[kLanes], c[kLanes], d[kLanes];
    for (uint32_t i = 0; i < kLanes; ++i) {
        a[i] = block + i;
        b[i] = y;
        c[i] = stream.frame;
        d[i] = stream.channel;
    }
    uint32_t low = static_cast<uint32_t>(stream.seed), high = static_cast<uint32_t>(stream.seed >> 32);
    for (int round = 0; round < 10; ++round) {
        for (uint32_t i = 0; i < kLanes; ++i) {
            const uint64_t first = uint64_t{0xD2511F53u} * a[i], second = uint64_t{0xCD9E8D57u} * c[i];
            a[i] = static_cast<uint32_t>(second >> 32) ^ b[i] ^ low;
            c[i] = static_cast<uint32_t>(first >> 32) ^ d[i] ^ high;
            b[i] = static_cast<uint32_t>(second);
            d[i] = static_cast<uint32_t>(first);
        }
        low += 0x9E3779B9u;
        high += 0xBB67AE85u;
    }
    for (uint32_t i = 0; i < kLanes; ++i) {
        words[4 * i] = a[i];
        words[4 * i + 1] = b[i];
        words[4 * i + 2] = c[i];
        words[4 * i + 3] = d[i];
    }
}

// Samples x .. x + kBlock * kLanes of row y, for x a multiple of kBlock.
GRAINLAYER_INLINE void white_lanes(float* GRAINLAYER_RESTRICT out, const Stream& stream, int64_t x, int64_t y) {
    uint32_t words[4 * kLanes];
    philox_lanes(words, stream, static_cast<uint32_t>(x >> 3), static_cast<uint32_t>(y));
    for (uint32_t i = 0; i < 4 * kLanes; ++i) {
        out[2 * i] = stream.quantiles[(words[i] >> 4) & kIndexMask];
        out[2 * i + 1] = stream.quantiles[words[i] >> 20];
    }
}

constexpr int64_t kSpan = kBlock * kLanes; // samples white_lanes makes

} // namespace grainlayer
