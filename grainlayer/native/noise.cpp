// The white noise field by itself, for windows of any place and size.
#include "noise.h"

using namespace grainlayer;

// Fill out (height rows of width samples) with the window whose first sample is (x, y).
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_white(float* out, uint64_t seed, uint32_t frame, uint32_t channel,
                                                                     int64_t x, int64_t y, int64_t width, int64_t height,
                                                                     const float* quantiles) {
    const Stream stream{seed, frame, channel, quantiles};
    float span[kSpan];
    for (int64_t row = 0; row < height; ++row) {
        for (int64_t start = x & ~(kBlock - 1); start < x + width; start += kSpan) {
            white_lanes(span, stream, start, y + row);
            const int64_t first = start < x ? x : start, end = start + kSpan < x + width ? start + kSpan : x + width;
            for (int64_t i = first; i < end; ++i) out[row * width + i - x] = span[i - start];
        }
    }
}
