// Debanding by a pyramid: every level is filled in from the coarser one, evened out, and held near its own samples.
// tests/unit/inference/test_deband.py holds the slow twins.
//
// Padded planes have one sample of border on every side, so a level (height, width) is stored as (height + 2, width + 2).
#include <algorithm>
#include <cmath>

#include "abi.h"

// One level. Mirrored by LevelJob in grainlayer/inference/deband.py.
struct GrainlayerLevel {
    const float* own;    // padded: the level as the picture gives it
    const float* from;   // padded: the coarser level (raise), or this one to be evened out (even)
    const float* trust;  // padded: weights 0..1 of `from`
    const float* limit;  // padded: the largest change, of this level
    float* out;          // padded
    int64_t height, width;
    float half, share;   // of the limit beyond `half` only this share counts here
    int32_t last;        // even: 1 for the second pass, which puts back what both took out too much
};

// The finest level. Mirrored by PictureJob. Pictures are (height, width), not padded.
struct GrainlayerPicture {
    const float* picture;
    const float* coarse; // padded, half as large, as are trust and limit
    const float* trust;
    const float* limit;
    const float* source; // the result keeps within `half` of it; or null
    float* out;
    int64_t height, width;
    float half, amount;  // of the change, only this share is made
};

namespace {

constexpr float kTwice = 1.5f;   // how much of what smoothing took away is put back
constexpr float kRange = 2.0f;   // a neighbour further away than this many limits counts less than half
constexpr float kSteep = 1.5f;   // so does the limit where the level changes by more than this many limits a sample
constexpr float kNothing = 0.05f; // weight of leaving a sample as it is
constexpr float kLittle = 1e-3f;  // weight of what is not trusted at all

// 1 for differences small beside 1 / sqrt(inverse), a half there, next to 0 for large ones; both are squares.
GRAINLAYER_INLINE float closeness(float squared, float inverse) {
    const float ratio = squared * inverse;
    return 1.0f / (1.0f + ratio * ratio);
}

GRAINLAYER_INLINE float held(float value, float limit) { return std::min(std::max(value, -limit), limit); }

// The samples of a padded row of half the width that lie at and beside every sample.
GRAINLAYER_INLINE void spread(const float* row, float* GRAINLAYER_RESTRICT at, float* GRAINLAYER_RESTRICT beside, int64_t width) {
    for (int64_t x = 0; x < width / 2; ++x) {
        at[2 * x] = row[x + 1];
        at[2 * x + 1] = row[x + 1];
        beside[2 * x] = row[x];
        beside[2 * x + 1] = row[x + 2];
    }
    if (width & 1) {
        at[width - 1] = row[width / 2 + 1];
        beside[width - 1] = row[width / 2];
    }
}

struct Pair {
    const float *at, *beside;
};

// The rows of a padded plane of half the height that lie at and beside row y.
GRAINLAYER_INLINE Pair rows_of(const float* plane, int64_t y, int64_t pitch) {
    const float* at = plane + (y / 2 + 1) * pitch;
    return {at, (y & 1) ? at + pitch : at - pitch};
}

// Linear interpolation of row y of a plane twice as large; `work` holds 2 * width + pitch floats.
GRAINLAYER_INLINE void between(const float* plane, int64_t y, int64_t pitch, int64_t width, float* GRAINLAYER_RESTRICT out, float* GRAINLAYER_RESTRICT work) {
    const Pair rows = rows_of(plane, y, pitch);
    float *mixed = work, *at = work + pitch, *beside = at + width;
    for (int64_t x = 0; x < pitch; ++x) mixed[x] = 0.75f * rows.at[x] + 0.25f * rows.beside[x];
    spread(mixed, at, beside, width);
    for (int64_t x = 0; x < width; ++x) out[x] = 0.75f * at[x] + 0.25f * beside[x];
}

} // namespace

// Sum, by cell of 4x4 pixels in the cell rows first..end, the differences between neighbours: `sums` (4, rows, columns) get the
// absolute ones across, the signed ones across, and both down. `halved` (padded) gets the mean of every 2x2 pixels.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_deband_cells(const float* picture, int64_t height, int64_t width, float* sums,
                                                                            float* halved, int64_t first, int64_t end, float* work) {
    const int64_t rows = (height + 3) / 4, columns = (width + 3) / 4, pitch = (width + 1) / 2 + 2;
    float* GRAINLAYER_RESTRICT total[4] = {work, work + 4 * columns, work + 8 * columns, work + 12 * columns};
    for (int64_t row = first; row < end; ++row) {
        std::fill(work, work + 16 * columns, 0.0f);
        for (int64_t y = 4 * row; y < std::min(4 * row + 4, height); ++y) {
            const float* here = picture + y * width;
            const float* below = y + 1 < height ? here + width : here;
            GRAINLAYER_IVDEP
            for (int64_t x = 0; x + 1 < width; ++x) {
                const float across = here[x + 1] - here[x];
                total[0][x] += std::fabs(across);
                total[1][x] += across;
            }
            GRAINLAYER_IVDEP
            for (int64_t x = 0; x < width; ++x) {
                const float down = below[x] - here[x];
                total[2][x] += std::fabs(down);
                total[3][x] += down;
            }
            if (y & 1) continue;
            float* out = halved + (y / 2 + 1) * pitch + 1;
            for (int64_t x = 0; x < width / 2; ++x)
                out[x] = 0.25f * ((here[2 * x] + below[2 * x]) + (here[2 * x + 1] + below[2 * x + 1]));
            if (width & 1) out[width / 2] = 0.5f * (here[width - 1] + below[width - 1]);
        }
        for (int64_t part = 0; part < 4; ++part)
            for (int64_t x = 0; x < columns; ++x) {
                const float* at = total[part] + 4 * x;
                sums[(part * rows + row) * columns + x] = 0.0625f * ((at[0] + at[1]) + (at[2] + at[3]));
            }
    }
}

// Write into `trust` (padded) how smooth the cell rows first..end are: 1 where the sums of `cells`, over 5x5 cells, are those of
// slopes and steps that all go one way, a half where they exceed that by `quiet`. `work` holds 4 * (columns + 4) floats.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_deband_trust(const float* sums, int64_t rows, int64_t columns, float quiet, float* trust,
                                                                            int64_t first, int64_t end, float* work) {
    const float inverse = 1.0f / quiet;
    const int64_t wide = columns + 4;
    for (int64_t row = first; row < end; ++row) {
        for (int64_t part = 0; part < 4; ++part) {
            const float* at[5];
            for (int64_t k = 0; k < 5; ++k) at[k] = sums + (part * rows + std::clamp<int64_t>(row + k - 2, 0, rows - 1)) * columns;
            float* line = work + part * wide + 2;
            for (int64_t x = 0; x < columns; ++x)
                line[x] = 0.0625f * ((at[0][x] + at[4][x]) + 4.0f * (at[1][x] + at[3][x]) + 6.0f * at[2][x]);
            line[-2] = line[-1] = line[0];
            line[columns] = line[columns + 1] = line[columns - 1];
        }
        float* out = trust + (row + 1) * (columns + 2) + 1;
        for (int64_t x = 0; x < columns; ++x) {
            float mean[4];
            for (int64_t part = 0; part < 4; ++part) {
                const float* at = work + part * wide + x;
                mean[part] = 0.0625f * ((at[0] + at[4]) + 4.0f * (at[1] + at[3]) + 6.0f * at[2]);
            }
            const float excess = ((mean[0] - std::fabs(mean[1])) + (mean[2] - std::fabs(mean[3]))) * inverse;
            out[x] = 1.0f / (1.0f + excess * excess);
        }
    }
}

// Halve a level (height, width) and its trust, both padded: means of 2x2 samples, those of the level weighted by trust if it is
// not null. Rows first..end of the smaller one.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_deband_halve(const float* level, const float* trust, int64_t height, int64_t width,
                                                                            float* small, float* small_trust, int64_t first, int64_t end) {
    const int64_t pitch = width + 2, columns = (width + 1) / 2;
    (void)height;
    for (int64_t y = first; y < end; ++y) {
        const float *upper = level + (2 * y + 1) * pitch + 1, *lower = upper + pitch;
        float* out = small + (y + 1) * (columns + 2) + 1;
        if (trust == nullptr) {
            for (int64_t x = 0; x < columns; ++x) out[x] = 0.25f * ((upper[2 * x] + lower[2 * x]) + (upper[2 * x + 1] + lower[2 * x + 1]));
            continue;
        }
        const float *above = trust + (2 * y + 1) * pitch + 1, *below = above + pitch;
        float* weight = small_trust + (y + 1) * (columns + 2) + 1;
        for (int64_t x = 0; x < columns; ++x) {
            const float a = above[2 * x] + kLittle, b = below[2 * x] + kLittle, c = above[2 * x + 1] + kLittle, d = below[2 * x + 1] + kLittle;
            const float sum = (a + b) + (c + d);
            out[x] = ((a * upper[2 * x] + b * lower[2 * x]) + (c * upper[2 * x + 1] + d * lower[2 * x + 1])) / sum;
            weight[x] = 0.25f * sum - kLittle;
        }
    }
}

// Double a padded plane, by linear interpolation, into rows first..end of a padded one (height, width).
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_deband_double(const float* plane, int64_t width, float* out, int64_t first, int64_t end,
                                                                             float* work) {
    const int64_t pitch = (width + 1) / 2 + 2;
    for (int64_t y = first; y < end; ++y) between(plane, y, pitch, width, out + (y + 1) * (width + 2) + 1, work);
}

// Fill rows first..end of a level in from the coarser one: the four samples nearest to each, those that differ much left out.
// `work` holds 8 * width floats.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_deband_raise(const GrainlayerLevel* job, int64_t first, int64_t end, float* work) {
    const int64_t width = job->width, pitch = width + 2, coarse = (width + 1) / 2 + 2;
    float *value = work, *weight = work + 4 * width;
    for (int64_t y = first; y < end; ++y) {
        const Pair values = rows_of(job->from, y, coarse), weights = rows_of(job->trust, y, coarse);
        spread(values.at, value, value + width, width);
        spread(values.beside, value + 2 * width, value + 3 * width, width);
        spread(weights.at, weight, weight + width, width);
        spread(weights.beside, weight + 2 * width, weight + 3 * width, width);
        const float *own = job->own + (y + 1) * pitch + 1, *limits = job->limit + (y + 1) * pitch + 1;
        float* GRAINLAYER_RESTRICT out = job->out + (y + 1) * pitch + 1;
        GRAINLAYER_IVDEP
        for (int64_t x = 0; x < width; ++x) {
            const float limit = std::min(limits[x], job->half) + job->share * std::max(limits[x] - job->half, 0.0f);
            const float range = 1.0f / (kRange * kRange * limit * limit), steep = 1.0f / (kSteep * kSteep * limit * limit);
            const float across = 0.5f * (own[x + 1] - own[x - 1]), down = 0.5f * (own[x + pitch] - own[x - pitch]);
            const float room = limit * closeness(across * across + down * down, steep);
            float sum = 0.0f, mass = kNothing;
            const float parts[4] = {0.5625f, 0.1875f, 0.1875f, 0.0625f};
            for (int64_t k = 0; k < 4; ++k) {
                const float gap = value[k * width + x] - own[x];
                const float part = parts[k] * weight[k * width + x] * closeness(gap * gap, range);
                sum += part * gap;
                mass += part;
            }
            out[x] = own[x] + held(sum / mass, room);
        }
    }
}

// Even rows first..end of a level out: the mean of 3x3 samples, those that differ much left out. The second pass puts back what
// two passes differ by, so that curves keep their shape, and holds the result near the level's own samples.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_deband_even(const GrainlayerLevel* job, int64_t first, int64_t end) {
    const int64_t width = job->width, pitch = width + 2;
    const bool last = job->last != 0;
    for (int64_t y = first; y < end; ++y) {
        const int64_t start = (y + 1) * pitch + 1;
        const float *own = job->own + start, *from = job->from + start, *trust = job->trust + start, *limits = job->limit + start;
        float* GRAINLAYER_RESTRICT out = job->out + start;
        GRAINLAYER_IVDEP
        for (int64_t x = 0; x < width; ++x) {
            const float limit = std::min(limits[x], job->half) + job->share * std::max(limits[x] - job->half, 0.0f);
            const float range = 1.0f / (kRange * kRange * limit * limit), steep = 1.0f / (kSteep * kSteep * limit * limit);
            float sum = 0.0f, mass = 4.0f * trust[x] + kLittle;
            for (int64_t k = 0; k < 9; ++k) {
                if (k == 4) continue;
                const int64_t at = x + (k / 3 - 1) * pitch + k % 3 - 1;
                const float gap = from[at] - from[x];
                const float part = (k & 1 ? 2.0f : 1.0f) * trust[at] * closeness(gap * gap, range);
                sum += part * gap;
                mass += part;
            }
            const float change = sum / mass;
            const float across = 0.5f * (own[x + 1] - own[x - 1]), down = 0.5f * (own[x + pitch] - own[x - pitch]);
            const float room = limit * closeness(across * across + down * down, steep);
            const float value = last ? from[x] - kTwice * change : from[x] + change;
            out[x] = own[x] + held(value - own[x], room);
        }
    }
}

// Fill rows first..end of the picture in from its halved level, as far as it is smooth. `work` holds 10 * width + 8
// floats.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_deband_picture(const GrainlayerPicture* job, int64_t first, int64_t end, float* work) {
    const int64_t width = job->width, pitch = (width + 1) / 2 + 2;
    float *value = work, *trust = work + 4 * width, *limits = trust + width, *line = limits + width + 1, *spare = line + width + 1;
    for (int64_t y = first; y < end; ++y) {
        const Pair values = rows_of(job->coarse, y, pitch);
        spread(values.at, value, value + width, width);
        spread(values.beside, value + 2 * width, value + 3 * width, width);
        between(job->trust, y, pitch, width, trust, spare);
        between(job->limit, y, pitch, width, limits, spare);
        const float *own = job->picture + y * width, *above = y > 0 ? own - width : own, *below = y + 1 < job->height ? own + width : own;
        const float steps = y > 0 && y + 1 < job->height ? 0.5f : 1.0f;
        line[-1] = 2.0f * own[0] - own[1];
        std::copy(own, own + width, line);
        line[width] = 2.0f * own[width - 1] - own[width - 2];
        const float* source = job->source == nullptr ? own : job->source + y * width;
        const float reach = job->source == nullptr ? 3e38f : job->half;
        float* GRAINLAYER_RESTRICT out = job->out + y * width;
        GRAINLAYER_IVDEP
        for (int64_t x = 0; x < width; ++x) {
            const float limit = limits[x], across = 0.5f * (line[x + 1] - line[x - 1]), down = steps * (below[x] - above[x]);
            const float range = 1.0f / (kRange * kRange * limit * limit), steep = 1.0f / (kSteep * kSteep * limit * limit);
            float sum = 0.0f, mass = kNothing;
            const float parts[4] = {0.5625f, 0.1875f, 0.1875f, 0.0625f};
            for (int64_t k = 0; k < 4; ++k) {
                const float gap = value[k * width + x] - own[x];
                const float part = parts[k] * closeness(gap * gap, range);
                sum += part * gap;
                mass += part;
            }
            const float most = std::min(limit, job->half) + trust[x] * std::max(limit - job->half, 0.0f);
            const float room = most * closeness(across * across + down * down, steep);
            const float change = held(sum / mass, room) * trust[x] * job->amount;
            const float sound = std::fabs(change) <= limit ? change : 0.0f; // what is no number does not spread
            out[x] = std::min(std::max(own[x] + sound, source[x] - reach), source[x] + reach);
        }
    }
}

// Split chroma (height, width, 2) into two planes of half the size, means of 2x2 pixels: rows first..end of these.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_deband_thin(const float* chroma, int64_t height, int64_t width, float* blue, float* red,
                                                                           int64_t first, int64_t end) {
    const int64_t columns = (width + 1) / 2;
    for (int64_t y = first; y < end; ++y) {
        const float* upper = chroma + 2 * y * width * 2;
        const float* lower = 2 * y + 1 < height ? upper + 2 * width : upper;
        for (int64_t x = 0; x < columns; ++x) {
            const int64_t at = 4 * x, beside = 2 * x + 1 < width ? at + 2 : at;
            blue[y * columns + x] = 0.25f * ((upper[at] + lower[at]) + (upper[beside] + lower[beside]));
            red[y * columns + x] = 0.25f * ((upper[at + 1] + lower[at + 1]) + (upper[beside + 1] + lower[beside + 1]));
        }
    }
}

// Add the changes of two planes of half the size (padded) to chroma (height, width, 2), rows first..end. `work` holds
// 4 * width + pitch floats.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_deband_tint(const float* chroma, const float* blue, const float* red, int64_t width,
                                                                           float* out, int64_t first, int64_t end, float* work) {
    const int64_t pitch = (width + 1) / 2 + 2;
    float *one = work, *two = work + width, *spare = two + width;
    for (int64_t y = first; y < end; ++y) {
        between(blue, y, pitch, width, one, spare);
        between(red, y, pitch, width, two, spare);
        const float* from = chroma + 2 * y * width;
        float* GRAINLAYER_RESTRICT to = out + 2 * y * width;
        for (int64_t x = 0; x < width; ++x) {
            to[2 * x] = from[2 * x] + one[x];
            to[2 * x + 1] = from[2 * x + 1] + two[x];
        }
    }
}
