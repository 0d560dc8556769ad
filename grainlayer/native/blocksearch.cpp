// Motion between two recorded pictures by blocks of 8 pixels, each seen through a window of 16 of which every other row is compared.
// All in whole numbers: samples of 8 bits, motion in quarters of a sample. inference/blocksearch.py says how it is used.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "abi.h"

// Mirrored by SearchJob in grainlayer/inference/blocksearch.py. Planes have `margin` samples on every side.
struct GrainlayerSearch {
    const uint8_t* here;
    const uint8_t* there;
    const int16_t* guess; // (guess_rows, guess_columns, 2): motion (y, x) in quarters of a sample at half this size, or null
    int16_t* motion;      // (rows, columns, 2): y, x in quarters of a sample; a block's window is found at its place plus motion
    int64_t height, width, margin, guess_rows, guess_columns;
    int32_t range, fine;  // whole samples searched around the best guess; 1: then halves and quarters
};

namespace {

constexpr int64_t kBlock = 8, kWindow = 16, kBefore = 4, kEvery = 2;
constexpr int32_t kWhole = 4, kScale = 8;   // quarters in a sample; what differences are multiplied by beside prices
constexpr int32_t kPrice = 13;              // of a quarter's distance from the guess: grain alone must not move a flat block
constexpr int32_t kEnough = 16;             // a window that differs by no more, an eighth of a code a sample, is found

struct Place {
    int32_t y, x;
};

GRAINLAYER_INLINE bool same(Place one, Place other) { return one.y == other.y && one.x == other.x; }

// Written as compilers know it: one instruction for the sum of 16 samples.
GRAINLAYER_INLINE int32_t gap(uint8_t one, uint8_t other) { return std::abs(one - other); }

GRAINLAYER_INLINE int32_t whole_difference(const uint8_t* a, const uint8_t* b, int64_t pitch) {
    int32_t total = 0;
    for (int64_t row = 0; row < kWindow; row += kEvery, a += kEvery * pitch, b += kEvery * pitch)
        for (int64_t k = 0; k < kWindow; ++k) total += gap(a[k], b[k]);
    return total;
}

GRAINLAYER_INLINE uint8_t mean(uint8_t one, uint8_t other) { return static_cast<uint8_t>((one + other + 1) >> 1); }

// What lies `part` quarters of the way from one sample to the next, by means of two, rounded up.
template <int32_t part> GRAINLAYER_INLINE uint8_t between(uint8_t one, uint8_t next) {
    if (part == 0) return one;
    if (part == 1) return mean(one, mean(one, next));
    if (part == 2) return mean(one, next);
    return mean(mean(one, next), next);
}

// Sum of absolute differences of a window and one `fy`, `fx` quarters of a sample beyond `b`, which is interpolated by means of two,
// rounded up: first between rows, then between columns.
template <int32_t fy, int32_t fx> GRAINLAYER_INLINE int32_t part_difference(const uint8_t* a, const uint8_t* b, int64_t pitch) {
    int32_t total = 0;
    for (int64_t row = 0; row < kWindow; row += kEvery, a += kEvery * pitch, b += kEvery * pitch) {
        const uint8_t* below = b + pitch;
        for (int64_t k = 0; k < kWindow; ++k)
            total += gap(a[k], between<fx>(between<fy>(b[k], below[k]), between<fy>(b[k + 1], below[k + 1])));
    }
    return total;
}

template <int32_t fy> GRAINLAYER_INLINE int32_t row_difference(const uint8_t* a, const uint8_t* b, int64_t pitch, int32_t fx) {
    if (fx == 0) return part_difference<fy, 0>(a, b, pitch);
    if (fx == 1) return part_difference<fy, 1>(a, b, pitch);
    if (fx == 2) return part_difference<fy, 2>(a, b, pitch);
    return part_difference<fy, 3>(a, b, pitch);
}

// Sum of absolute differences of a window and one `fy`, `fx` quarters of a sample beyond `b`.
GRAINLAYER_INLINE int32_t difference(const uint8_t* a, const uint8_t* b, int64_t pitch, int32_t fy, int32_t fx) {
    if (fy == 0) return fx == 0 ? whole_difference(a, b, pitch) : row_difference<0>(a, b, pitch, fx);
    if (fy == 1) return row_difference<1>(a, b, pitch, fx);
    if (fy == 2) return row_difference<2>(a, b, pitch, fx);
    return row_difference<3>(a, b, pitch, fx);
}

// The differences one sample (half = false) or half of one above, left, below and right of `b`.
template <bool half> GRAINLAYER_INLINE void cross(const uint8_t* a, const uint8_t* b, int64_t pitch, int32_t* beside) {
    beside[0] = half ? part_difference<2, 0>(a, b - pitch, pitch) : whole_difference(a, b - pitch, pitch);
    beside[1] = half ? part_difference<0, 2>(a, b - 1, pitch) : whole_difference(a, b - 1, pitch);
    beside[2] = half ? part_difference<2, 0>(a, b, pitch) : whole_difference(a, b + pitch, pitch);
    beside[3] = half ? part_difference<0, 2>(a, b, pitch) : whole_difference(a, b + 1, pitch);
}

struct Search {
    int64_t y, x; // first sample of the block's window
    Place guess, best;
    int32_t least, apart;
};

GRAINLAYER_INLINE int32_t length(int32_t value) { return value < 0 ? -value : value; }

// Whether the window, and what lies a sample beside it, may be read there.
GRAINLAYER_INLINE bool inside(const GrainlayerSearch& job, const Search& search, Place move) {
    const int64_t room = job.margin - 2, y = search.y + (move.y >> 2), x = search.x + (move.x >> 2);
    return y >= -room && x >= -room && y + kWindow <= job.height + room && x + kWindow <= job.width + room;
}

GRAINLAYER_INLINE const uint8_t* own(const GrainlayerSearch& job, const Search& search) {
    return job.here + (search.y + job.margin) * (job.width + 2 * job.margin) + search.x + job.margin;
}

GRAINLAYER_INLINE const uint8_t* other(const GrainlayerSearch& job, const Search& search, Place move) {
    return job.there + (search.y + (move.y >> 2) + job.margin) * (job.width + 2 * job.margin) + search.x + (move.x >> 2) + job.margin;
}

// Take a place whose difference is known, if with the price of its distance it is better.
GRAINLAYER_INLINE void weigh(Search& search, Place move, int32_t apart) {
    const int32_t cost = kScale * apart + kPrice * (length(move.y - search.guess.y) + length(move.x - search.guess.x));
    if (cost >= search.least) return;
    search.least = cost;
    search.apart = apart;
    search.best = move;
}

GRAINLAYER_INLINE void consider(const GrainlayerSearch& job, Search& search, Place move) {
    if (!inside(job, search, move)) return;
    weigh(search, move, difference(own(job, search), other(job, search, move), job.width + 2 * job.margin, move.y & 3, move.x & 3));
}

// Weigh what lies a step, a sample or half of one, above, left, below and right of a place on a sample, and set the differences there.
template <bool half> GRAINLAYER_INLINE void around(const GrainlayerSearch& job, Search& search, Place centre, int32_t* beside) {
    constexpr int32_t step = half ? kWhole / 2 : kWhole;
    cross<half>(own(job, search), other(job, search, centre), job.width + 2 * job.margin, beside);
    const Place places[4] = {{centre.y - step, centre.x}, {centre.y, centre.x - step}, {centre.y + step, centre.x}, {centre.y, centre.x + step}};
    for (int32_t n = 0; n < 4; ++n)
        if (half || inside(job, search, places[n])) weigh(search, places[n], beside[n]);
}

// Quarters from a sample to where the difference is least, by those half a sample before and after: it rises as fast on both sides.
GRAINLAYER_INLINE int32_t quarters(int32_t before, int32_t here, int32_t after) {
    const int32_t rise = std::max(before, after) - here;
    if (rise <= 0) return before < after ? -2 : 2;
    return std::clamp(static_cast<int32_t>(std::floor(static_cast<float>(before - after) / static_cast<float>(rise) + 0.5f)), -2, 2);
}

GRAINLAYER_INLINE Place guessed(const GrainlayerSearch& job, int64_t row, int64_t column) {
    const int64_t r = std::clamp<int64_t>(row, 0, job.guess_rows - 1), c = std::clamp<int64_t>(column, 0, job.guess_columns - 1);
    const int16_t* at = job.guess + 2 * (r * job.guess_columns + c);
    return {(2 * at[0] + 2) & ~3, (2 * at[1] + 2) & ~3};
}

// Search from the guesses of the block and of those beside it, and from no motion.
GRAINLAYER_INLINE void follow_guesses(const GrainlayerSearch& job, Search& search, int64_t row, int64_t column) {
    const int64_t beside_row = row / 2 + ((row & 1) ? 1 : -1), beside_column = column / 2 + ((column & 1) ? 1 : -1);
    const Place places[5] = {guessed(job, row / 2, column / 2), guessed(job, beside_row, column / 2), guessed(job, row / 2, beside_column),
                             guessed(job, beside_row, beside_column), {0, 0}};
    search.guess = search.best = places[0];
    for (int32_t n = 0; n < 5; ++n) {
        bool before = false;
        for (int32_t m = 0; m < n; ++m) before = before || same(places[m], places[n]);
        if (!before) consider(job, search, places[n]);
    }
}

// Follow the differences down, sample by sample.
GRAINLAYER_INLINE void descend(const GrainlayerSearch& job, Search& search) {
    int32_t beside[4];
    for (int32_t turn = 0; turn < job.range && search.apart > kEnough; ++turn) {
        const Place centre = search.best;
        around<false>(job, search, centre, beside);
        if (same(centre, search.best)) return;
    }
}

// Look between samples: at halves, then where these say that the difference is least.
GRAINLAYER_INLINE void refine(const GrainlayerSearch& job, Search& search) {
    if (search.apart <= kEnough) return;
    int32_t beside[4];
    const Place centre = search.best;
    const int32_t here = search.apart;
    around<true>(job, search, centre, beside);
    const Place part{quarters(beside[0], here, beside[2]), quarters(beside[1], here, beside[3])};
    if ((part.y & 1) || (part.x & 1) || (part.y && part.x)) consider(job, search, {centre.y + part.y, centre.x + part.x});
}

GRAINLAYER_INLINE void search_block(const GrainlayerSearch& job, int64_t row, int64_t column, int64_t columns) {
    Search search{row * kBlock - kBefore, column * kBlock - kBefore, {0, 0}, {0, 0}, INT32_MAX, INT32_MAX};
    if (job.guess != nullptr) {
        follow_guesses(job, search, row, column);
        descend(job, search);
    } else {
        consider(job, search, {0, 0});
        for (int32_t dy = -job.range; dy <= job.range; ++dy)
            for (int32_t dx = -job.range; dx <= job.range; ++dx) consider(job, search, {kWhole * dy, kWhole * dx});
    }
    if (job.fine) refine(job, search);
    int16_t* at = job.motion + 2 * (row * columns + column);
    at[0] = static_cast<int16_t>(search.best.y);
    at[1] = static_cast<int16_t>(search.best.x);
}

} // namespace

// Search the block rows first..end.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_search(const GrainlayerSearch* job, int64_t first, int64_t end) {
    const int64_t columns = (job->width + kBlock - 1) / kBlock;
    for (int64_t row = first; row < end; ++row)
        for (int64_t column = 0; column < columns; ++column) search_block(*job, row, column, columns);
}

// Write the rows first..end of a plane of half the size, rounded means of 2x2 samples; `pitch` of the larger one is in samples.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_halve(const uint8_t* plane, uint8_t* out, int64_t pitch, int64_t out_pitch,
                                                                    int64_t width, int64_t first, int64_t end) {
    for (int64_t row = first; row < end; ++row) {
        const uint8_t* GRAINLAYER_RESTRICT from = plane + 2 * row * pitch;
        uint8_t* GRAINLAYER_RESTRICT to = out + row * out_pitch;
        for (int64_t k = 0; k < width; ++k)
            to[k] = static_cast<uint8_t>((from[2 * k] + from[2 * k + 1] + from[pitch + 2 * k] + from[pitch + 2 * k + 1] + 2) >> 2);
    }
}

// Write a row of luma, 0 black to 1 white, as codes of 8 bits in video range.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_codes(const float* plane, uint8_t* out, int64_t pitch, int64_t width, int64_t first,
                                                                    int64_t end) {
    for (int64_t row = first; row < end; ++row) {
        const float* GRAINLAYER_RESTRICT from = plane + row * width;
        uint8_t* GRAINLAYER_RESTRICT to = out + row * pitch;
        for (int64_t k = 0; k < width; ++k) {
            const float code = from[k] * 219.0f + 16.5f;
            to[k] = static_cast<uint8_t>(code < 0.0f ? 0.0f : code > 255.0f ? 255.0f : code);
        }
    }
}
