// Grain over rows: white noise is made row by row, filtered along x into a ring of rows, filtered along y, and scaled by the
// base's code values. Strips of columns keep the ring in the processor's cache. grain/synth.py holds the slow twin.
#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

#include "noise.h"

namespace grainlayer {

constexpr int64_t kCodes = 1025; // entries of a table by code value
constexpr int64_t kPixel = 3;
constexpr int64_t kStrip = 448; // most columns of a strip
constexpr int64_t kMaps = 7;    // scale, tilt, own weight, weights of up to four extra fields
constexpr int64_t kExtras = 4;
constexpr int64_t kCell = 16;
constexpr int64_t kTaps = 4; // taps applied together
constexpr size_t kLine = 16; // floats in a line of the processor's cache

} // namespace grainlayer

// Everything a call needs; grain/synth.py declares the same fields in the same order.
struct GrainlayerSynth {
    const float* base; // (rows, width, 3); its first pixel is (x, y) of the picture
    float* out;        // the same shape, may be the base itself
    int64_t width, x, y;
    uint64_t seed;
    uint32_t frame;
    int32_t planes;    // 1: one noise plane serves R, G and B; 3: one a channel
    int32_t fields;    // filtered fields that the gain tables weight
    int32_t extras;    // further fields that the texture maps weight
    int32_t parts, reach;
    const float* quantiles;
    const float* mix;     // (3, 3): channel c's noise = sum of mix[c][k] * stream k
    const float* rows;    // (parts, reach + 1) taps along x, the middle one halved
    const float* columns; // (fields + extras, parts, reach + 1) taps along y, the middle one halved
    const float* gain;    // (3, fields, kCodes)
    float saturation, amount;
    int32_t add;               // 1: out = base + amount * grain, 0: out = amount * grain
    int32_t cells_x, cells_y;  // raster of 16-pixel cells; 0: no texture map
    int32_t tilted;            // 1: `mean` is given and the tilt map counts
    const float* maps;         // (3 + extras, cells_y, cells_x): see kMaps
    const float* mean;         // (cells_y, cells_x): local mean luma of the base
    const float* strength;     // (3, kCodes): gain of the extra fields
    const float* cross;        // (extras, kCodes): covariance of the blended fields and an extra one
    const float* extra_gram;   // (extras, extras)
};

namespace grainlayer {

// One strip's working memory.
struct Strip {
    int64_t first, width, pitch; // first column of the base, columns, floats between rows
    float* noise;                // (3, pitch): mixed noise of one row, from column first - reach
    float* ring;                 // (planes, 2 reach + 1, parts, pitch)
    float* field;                // (planes, fields + extras, pitch): filtered fields of one row
    float* grain;                // (3, pitch)
    float* map;                  // (kMaps, pitch): texture of one row
    float* norm;                 // (pitch): power of the extra part of the blend
    float* line;                 // (cells_x): one row of a texture map
    int32_t* index;              // (pitch): table places
    float* zero;                 // (pitch): zeros
    float *sum, *power;          // (pitch): the extra fields' weighted sum, the whole blend's power
    int32_t *left, *right;       // (pitch): cells beside a column
    float* part;                 // (pitch): share of the right cell
};

// out[n] (+)= sum over kTaps t of taps[n][t] * (low[t] + high[t]), in the order of t.
template <int N, bool kFirst>
GRAINLAYER_INLINE void add_taps(float* out, int64_t out_pitch, const float* const* low, const float* const* high, const float* taps,
                                int64_t taps_pitch, int64_t width) {
    const float* GRAINLAYER_RESTRICT l0 = low[0];
    const float* GRAINLAYER_RESTRICT l1 = low[1];
    const float* GRAINLAYER_RESTRICT l2 = low[2];
    const float* GRAINLAYER_RESTRICT l3 = low[3];
    const float* GRAINLAYER_RESTRICT h0 = high[0];
    const float* GRAINLAYER_RESTRICT h1 = high[1];
    const float* GRAINLAYER_RESTRICT h2 = high[2];
    const float* GRAINLAYER_RESTRICT h3 = high[3];
    float* GRAINLAYER_RESTRICT o0 = out;
    float* GRAINLAYER_RESTRICT o1 = N > 1 ? out + out_pitch : nullptr;
    float* GRAINLAYER_RESTRICT o2 = N > 2 ? out + 2 * out_pitch : nullptr;
    float* GRAINLAYER_RESTRICT o3 = N > 3 ? out + 3 * out_pitch : nullptr;
    const float *t1 = N > 1 ? taps + taps_pitch : taps, *t2 = N > 2 ? taps + 2 * taps_pitch : taps;
    const float* t3 = N > 3 ? taps + 3 * taps_pitch : taps;
    const float a0 = taps[0], a1 = taps[1], a2 = taps[2], a3 = taps[3], b0 = t1[0], b1 = t1[1], b2 = t1[2], b3 = t1[3];
    const float c0 = t2[0], c1 = t2[1], c2 = t2[2], c3 = t2[3], d0 = t3[0], d1 = t3[1], d2 = t3[2], d3 = t3[3];
    GRAINLAYER_IVDEP
    for (int64_t i = 0; i < width; ++i) {
        const float s0 = l0[i] + h0[i], s1 = l1[i] + h1[i], s2 = l2[i] + h2[i], s3 = l3[i] + h3[i];
        o0[i] = (((kFirst ? a0 * s0 : o0[i] + a0 * s0) + a1 * s1) + a2 * s2) + a3 * s3;
        if constexpr (N > 1) o1[i] = (((kFirst ? b0 * s0 : o1[i] + b0 * s0) + b1 * s1) + b2 * s2) + b3 * s3;
        if constexpr (N > 2) o2[i] = (((kFirst ? c0 * s0 : o2[i] + c0 * s0) + c1 * s1) + c2 * s2) + c3 * s3;
        if constexpr (N > 3) o3[i] = (((kFirst ? d0 * s0 : o3[i] + d0 * s0) + d1 * s1) + d2 * s2) + d3 * s3;
    }
}

// The same for any number of outputs.
template <bool kFirst>
GRAINLAYER_INLINE void add_taps_to(int64_t count, float* out, int64_t out_pitch, const float* const* low, const float* const* high,
                                   const float* taps, int64_t taps_pitch, int64_t width) {
    int64_t n = 0;
    for (; n + 4 <= count; n += 4) add_taps<4, kFirst>(out + n * out_pitch, out_pitch, low, high, taps + n * taps_pitch, taps_pitch, width);
    if (count - n == 3) add_taps<3, kFirst>(out + n * out_pitch, out_pitch, low, high, taps + n * taps_pitch, taps_pitch, width);
    if (count - n == 2) add_taps<2, kFirst>(out + n * out_pitch, out_pitch, low, high, taps + n * taps_pitch, taps_pitch, width);
    if (count - n == 1) add_taps<1, kFirst>(out + n * out_pitch, out_pitch, low, high, taps + n * taps_pitch, taps_pitch, width);
}

GRAINLAYER_INLINE int64_t slot_of(int64_t y, int64_t slots) { return ((y % slots) + slots) % slots; }

// Mix three streams of noise into the planes: columns [x - reach, x + width + reach) of row y.
GRAINLAYER_INLINE void mixed_noise(const GrainlayerSynth& job, const Strip& strip, int64_t y) {
    const int64_t left = job.x + strip.first - job.reach, count = strip.width + 2 * job.reach;
    float span[3][kSpan];
    for (int64_t start = left & ~(kBlock - 1); start < left + count; start += kSpan) {
        for (uint32_t k = 0; k < 3; ++k) {
            const bool used = job.mix[k] != 0.0f || job.mix[3 + k] != 0.0f || job.mix[6 + k] != 0.0f;
            if (used) white_lanes(span[k], Stream{job.seed, job.frame, k, job.quantiles}, start, y);
            if (!used) std::fill(span[k], span[k] + kSpan, 0.0f);
        }
        const int64_t first = std::max(start, left), end = std::min(start + kSpan, left + count);
        for (int64_t c = 0; c < job.planes; ++c) {
            const float m0 = job.mix[3 * c], m1 = job.mix[3 * c + 1], m2 = job.mix[3 * c + 2];
            float* GRAINLAYER_RESTRICT out = strip.noise + c * strip.pitch + (first - left);
            const float *n0 = span[0] + (first - start), *n1 = span[1] + (first - start), *n2 = span[2] + (first - start);
            for (int64_t i = 0; i < end - first; ++i) out[i] = (m0 * n0[i] + m1 * n1[i]) + m2 * n2[i];
        }
    }
}

// Filter the noise of row y along x, every plane and part, into the ring.
GRAINLAYER_INLINE void filter_across(const GrainlayerSynth& job, const Strip& strip, int64_t y) {
    const int64_t slots = 2 * job.reach + 1, taps = job.reach + 1, slot = slot_of(y, slots);
    mixed_noise(job, strip, y);
    for (int64_t c = 0; c < job.planes; ++c) {
        const float* middle = strip.noise + c * strip.pitch + job.reach;
        float* out = strip.ring + (c * slots + slot) * job.parts * strip.pitch;
        for (int64_t k = 0; k < taps; k += kTaps) {
            const float *low[kTaps], *high[kTaps];
            for (int64_t t = 0; t < kTaps; ++t) {
                low[t] = middle - (k + t);
                high[t] = middle + (k + t);
            }
            if (k == 0) add_taps_to<true>(job.parts, out, strip.pitch, low, high, job.rows, taps, strip.width);
            if (k != 0) add_taps_to<false>(job.parts, out, strip.pitch, low, high, job.rows + k, taps, strip.width);
        }
    }
}

// Filter the ring along y around row y: every plane's fields.
GRAINLAYER_INLINE void filter_along(const GrainlayerSynth& job, const Strip& strip, int64_t y) {
    const int64_t slots = 2 * job.reach + 1, taps = job.reach + 1, fields = job.fields + job.extras;
    for (int64_t c = 0; c < job.planes; ++c) {
        float* out = strip.field + c * fields * strip.pitch;
        for (int64_t r = 0; r < job.parts; ++r) {
            for (int64_t k = 0; k < taps; k += kTaps) {
                const float *low[kTaps], *high[kTaps];
                for (int64_t t = 0; t < kTaps; ++t) {
                    low[t] = strip.ring + ((c * slots + slot_of(y - k - t, slots)) * job.parts + r) * strip.pitch;
                    high[t] = strip.ring + ((c * slots + slot_of(y + k + t, slots)) * job.parts + r) * strip.pitch;
                }
                const float* columns = job.columns + r * taps + k;
                if (r + k == 0) add_taps_to<true>(fields, out, strip.pitch, low, high, columns, job.parts * taps, strip.width);
                if (r + k != 0) add_taps_to<false>(fields, out, strip.pitch, low, high, columns, job.parts * taps, strip.width);
            }
        }
    }
}

// Interpolate a raster of cells (centres at 8, 24, ... pixels) at row y of the picture, for the strip's columns.
GRAINLAYER_INLINE void expand(const GrainlayerSynth& job, const Strip& strip, const float* cells, int64_t y, float* out) {
    const int64_t last_y = job.cells_y - 1;
    const int64_t row = (2 * y + 1 - kCell) >> 5;
    const float part = static_cast<float>((2 * y + 1 - kCell) & 31) / 32.0f;
    const float* above = cells + std::clamp<int64_t>(row, 0, last_y) * job.cells_x;
    const float* below = cells + std::clamp<int64_t>(row + 1, 0, last_y) * job.cells_x;
    for (int64_t i = 0; i < job.cells_x; ++i) strip.line[i] = above[i] + part * (below[i] - above[i]);
    const float* line = strip.line;
    GRAINLAYER_IVDEP
    for (int64_t i = 0; i < strip.width; ++i) {
        const float left = line[strip.left[i]], right = line[strip.right[i]];
        out[i] = left + strip.part[i] * (right - left);
    }
}

// Find the cells left and right of each of the strip's columns, and the share of the right one.
GRAINLAYER_INLINE void place_cells(const GrainlayerSynth& job, const Strip& strip) {
    const int64_t last = job.cells_x - 1;
    for (int64_t i = 0; i < strip.width; ++i) {
        const int64_t place = 2 * (job.x + strip.first + i) + 1 - kCell, cell = place >> 5;
        strip.left[i] = static_cast<int32_t>(std::clamp<int64_t>(cell, 0, last));
        strip.right[i] = static_cast<int32_t>(std::clamp<int64_t>(cell + 1, 0, last));
        strip.part[i] = static_cast<float>(place & 31) / 32.0f;
    }
}

// Luma, in code values, of a pixel.
GRAINLAYER_INLINE float luma(float red, float green, float blue) { return (0.2126f * red + 0.7152f * green) + 0.0722f * blue; }

// Prepare what all channels share of the texture of row y: map[0] becomes the whole scale, norm the power of the blend's
// part that no code value changes.
GRAINLAYER_INLINE void texture_row(const GrainlayerSynth& job, const Strip& strip, const float* base, int64_t y) {
    const int64_t p = strip.pitch, cells = int64_t{job.cells_x} * job.cells_y, maps = job.extras > 0 ? 3 + job.extras : 2;
    for (int64_t m = 0; m < maps; ++m) expand(job, strip, job.maps + m * cells, y, strip.map + m * p);
    if (job.tilted != 0) {
        expand(job, strip, job.mean, y, strip.norm);
        for (int64_t i = 0; i < strip.width; ++i) {
            const float value = 4.0f * (luma(base[3 * i], base[3 * i + 1], base[3 * i + 2]) - strip.norm[i]);
            const float high = value > -1.0f ? value : -1.0f, tilt = high < 1.0f ? high : 1.0f;
            strip.map[i] *= 1.0f + strip.map[p + i] * tilt;
        }
    }
    if (job.extras == 0) return;
    const float* own = strip.map + 2 * p;
    for (int64_t i = 0; i < strip.width; ++i) strip.norm[i] = own[i] * own[i];
    for (int64_t e = 0; e < job.extras; ++e) {
        for (int64_t g = e; g < job.extras; ++g) {
            const float covariance = (g == e ? 1.0f : 2.0f) * job.extra_gram[e * job.extras + g];
            const float *first = strip.map + (3 + e) * p, *second = strip.map + (3 + g) * p;
            for (int64_t i = 0; i < strip.width; ++i) strip.norm[i] = strip.norm[i] + covariance * (first[i] * second[i]);
        }
    }
}

// Apply the texture to channel c's blended grain.
GRAINLAYER_INLINE void texture_channel(const GrainlayerSynth& job, const Strip& strip, const float* field, int64_t c) {
    const int64_t p = strip.pitch;
    float* grain = strip.grain + c * p;
    if (job.extras > 0) {
        const float *own = strip.map + 2 * p, *strength = job.strength + c * kCodes;
        for (int64_t e = 0; e < job.extras; ++e) {
            const float *weight = strip.map + (3 + e) * p, *one = field + (job.fields + e) * p, *cross = job.cross + e * kCodes;
            const float *sum = e == 0 ? strip.zero : strip.sum, *power = e == 0 ? strip.norm : strip.power;
            GRAINLAYER_IVDEP
            for (int64_t i = 0; i < strip.width; ++i) {
                strip.sum[i] = sum[i] + weight[i] * one[i];
                strip.power[i] = power[i] + (2.0f * own[i]) * (weight[i] * cross[strip.index[i]]);
            }
        }
        GRAINLAYER_IVDEP
        for (int64_t i = 0; i < strip.width; ++i) {
            const float blend = own[i] * grain[i] + strength[strip.index[i]] * strip.sum[i], power = strip.power[i];
            grain[i] = blend / std::sqrt(power > 1e-3f ? power : 1e-3f);
        }
    }
    GRAINLAYER_IVDEP
    for (int64_t i = 0; i < strip.width; ++i) grain[i] *= strip.map[i];
}

// Weight the fields of a row by the base's code values into the grain of three channels.
GRAINLAYER_INLINE void weight_fields(const GrainlayerSynth& job, const Strip& strip, const float* base) {
    const int64_t p = strip.pitch, fields = job.fields + job.extras;
    for (int64_t c = 0; c < kPixel; ++c) {
        for (int64_t i = 0; i < strip.width; ++i) {
            const float value = base[kPixel * i + c], above = value > 0.0f ? value : 0.0f, inside = above < 1.0f ? above : 1.0f;
            strip.index[i] = static_cast<int32_t>(inside * static_cast<float>(kCodes - 1) + 0.5f);
        }
        const float* field = strip.field + (job.planes == 1 ? 0 : c * fields * p);
        float* GRAINLAYER_RESTRICT grain = strip.grain + c * p;
        for (int64_t f = 0; f < job.fields; ++f) {
            const float *gain = job.gain + (c * job.fields + f) * kCodes, *one = field + f * p;
            if (f == 0) {
                GRAINLAYER_IVDEP
                for (int64_t i = 0; i < strip.width; ++i) grain[i] = gain[strip.index[i]] * one[i];
            } else {
                GRAINLAYER_IVDEP
                for (int64_t i = 0; i < strip.width; ++i) grain[i] += gain[strip.index[i]] * one[i];
            }
        }
        if (job.cells_x > 0) texture_channel(job, strip, field, c);
    }
}

// Desaturate if asked, scale, add to the base if asked, and write the row.
GRAINLAYER_INLINE void write_row(const GrainlayerSynth& job, const Strip& strip, const float* base, float* out) {
    float *red = strip.grain, *green = strip.grain + strip.pitch, *blue = strip.grain + 2 * strip.pitch;
    if (job.saturation != 1.0f) {
        for (int64_t i = 0; i < strip.width; ++i) {
            const float grey = luma(red[i], green[i], blue[i]);
            red[i] = grey + job.saturation * (red[i] - grey);
            green[i] = grey + job.saturation * (green[i] - grey);
            blue[i] = grey + job.saturation * (blue[i] - grey);
        }
    }
    if (job.add != 0) {
        for (int64_t i = 0; i < strip.width; ++i) {
            out[kPixel * i] = base[kPixel * i] + job.amount * red[i];
            out[kPixel * i + 1] = base[kPixel * i + 1] + job.amount * green[i];
            out[kPixel * i + 2] = base[kPixel * i + 2] + job.amount * blue[i];
        }
        return;
    }
    for (int64_t i = 0; i < strip.width; ++i) {
        out[kPixel * i] = job.amount * red[i];
        out[kPixel * i + 1] = job.amount * green[i];
        out[kPixel * i + 2] = job.amount * blue[i];
    }
}

GRAINLAYER_INLINE void render_strip(const GrainlayerSynth& job, const Strip& strip, int64_t first, int64_t end) {
    if (job.cells_x > 0) place_cells(job, strip);
    for (int64_t row = first - job.reach; row < first + job.reach; ++row) filter_across(job, strip, job.y + row);
    for (int64_t row = first; row < end; ++row) {
        filter_across(job, strip, job.y + row + job.reach);
        filter_along(job, strip, job.y + row);
        const int64_t place = kPixel * (row * job.width + strip.first);
        if (job.cells_x > 0) texture_row(job, strip, job.base + place, job.y + row);
        weight_fields(job, strip, job.base + place);
        write_row(job, strip, job.base + place, job.out + place);
    }
}

} // namespace grainlayer

using namespace grainlayer;

// Render rows [first, end) of the base. Returns 0, or 1 if there is no memory.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES int32_t grainlayer_synth(const GrainlayerSynth* given, int64_t first, int64_t end) {
    const GrainlayerSynth& job = *given;
    const int64_t most = std::min(job.width, kStrip), pitch = (most + 2 * job.reach + 31) / 16 * 16, fields = job.fields + job.extras;
    const int64_t ring = job.planes * (2 * job.reach + 1) * job.parts, filtered = job.planes * fields;
    const int64_t lines = 3 + ring + filtered + 3 + kMaps + 8, floats = lines * pitch + job.cells_x + static_cast<int64_t>(kLine);
    std::unique_ptr<float[]> memory(new (std::nothrow) float[static_cast<size_t>(floats)]);
    if (!memory) return 1;
    const size_t past = reinterpret_cast<uintptr_t>(memory.get()) / sizeof(float) % kLine;
    float* next = memory.get() + (kLine - past) % kLine;
    const auto take = [&next, pitch](int64_t count) {
        float* found = next;
        next += count * pitch;
        return found;
    };
    Strip strip{};
    strip.pitch = pitch;
    strip.noise = take(3);
    strip.ring = take(ring);
    strip.field = take(filtered);
    strip.grain = take(3);
    strip.map = take(kMaps);
    strip.norm = take(1);
    strip.index = reinterpret_cast<int32_t*>(take(1));
    strip.zero = take(1);
    std::fill(strip.zero, strip.zero + pitch, 0.0f);
    strip.sum = take(1);
    strip.power = take(1);
    strip.left = reinterpret_cast<int32_t*>(take(1));
    strip.right = reinterpret_cast<int32_t*>(take(1));
    strip.part = take(1);
    strip.line = next;
    const int64_t count = (job.width + kStrip - 1) / kStrip;
    for (int64_t s = 0; s < count; ++s) {
        strip.first = job.width * s / count;
        strip.width = job.width * (s + 1) / count - strip.first;
        render_strip(job, strip, first, end);
    }
    return 0;
}

// Mean luma of the base by cells of 16 pixels, (ceil(height / 16), ceil(width / 16)); summed row by row, then along x.
extern "C" GRAINLAYER_EXPORT void grainlayer_cell_luma(const float* base, int64_t width, int64_t height, float* out) {
    const int64_t columns = (width + kCell - 1) / kCell;
    for (int64_t top = 0; top < height; top += kCell) {
        for (int64_t left = 0; left < width; left += kCell) {
            const int64_t bottom = std::min(top + kCell, height), right = std::min(left + kCell, width);
            float sum = 0.0f;
            for (int64_t y = top; y < bottom; ++y) {
                for (int64_t x = left; x < right; ++x) {
                    const float* pixel = base + kPixel * (y * width + x);
                    sum += luma(pixel[0], pixel[1], pixel[2]);
                }
            }
            out[top / kCell * columns + left / kCell] = sum / static_cast<float>((bottom - top) * (right - left));
        }
    }
}
