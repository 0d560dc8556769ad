// Weighted sums of layers: the arithmetic of a plain sum in the order of its parts, so the bits do not depend on width or threads.
#include "abi.h"

namespace {

// out = wa a [+ wb b [+ wc c]] [+ offset], for Parts layers.
template <int Parts, bool Offset>
GRAINLAYER_INLINE void sum(float* GRAINLAYER_RESTRICT out, const float* GRAINLAYER_RESTRICT a, const float* GRAINLAYER_RESTRICT b,
                           const float* GRAINLAYER_RESTRICT c, float wa, float wb, float wc, float offset, int64_t first,
                           int64_t end) {
    for (int64_t i = first; i < end; ++i) {
        float total = 0.0f;
        if constexpr (Parts > 0) total = wa * a[i];
        if constexpr (Parts > 1) total += wb * b[i];
        if constexpr (Parts > 2) total += wc * c[i];
        out[i] = Offset ? total + offset : total;
    }
}

template <bool Offset>
GRAINLAYER_INLINE void sum_of(float* out, const float* a, const float* b, const float* c, float wa, float wb, float wc,
                              float offset, int32_t count, int64_t first, int64_t end) {
    switch (count) {
    case 0: sum<0, Offset>(out, a, b, c, wa, wb, wc, offset, first, end); break;
    case 1: sum<1, Offset>(out, a, b, c, wa, wb, wc, offset, first, end); break;
    case 2: sum<2, Offset>(out, a, b, c, wa, wb, wc, offset, first, end); break;
    default: sum<3, Offset>(out, a, b, c, wa, wb, wc, offset, first, end); break;
    }
}

} // namespace

// Write samples first..end of the weighted sum of `count` layers (0..3; the rest may be null) to out, which is none of them.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_compose(float* out, const float* a, const float* b, const float* c,
                                                                       float wa, float wb, float wc, float offset, int32_t count,
                                                                       int64_t first, int64_t end) {
    if (offset != 0.0f)
        sum_of<true>(out, a, b, c, wa, wb, wc, offset, count, first, end);
    else
        sum_of<false>(out, a, b, c, wa, wb, wc, offset, count, first, end);
}
