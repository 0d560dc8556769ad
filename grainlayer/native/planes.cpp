// Planes of codes to interleaved RGB floats and back, row by row: the arithmetic of grainlayer/picture/planes.py and
// chroma.py in the same order, so the bits are the same.
#include "abi.h"

namespace {

// Mirrored by Layout in grainlayer/picture/kernels.py. Strides are in samples.
struct Layout {
    void* planes[3];
    int64_t strides[3];
    int32_t width, height;
    int32_t bytes;                // of a sample: 1 or 2
    int32_t count;                // of planes: 1 (luma alone) or 3
    int32_t across, down;         // log2 of the chroma subsampling: 0 or 1
    int32_t on_across, on_down;   // whether chroma lies on luma samples
    float luma_offset, luma_range, chroma_offset, peak;
    float gains[4];               // to RGB: red of V, blue of U, green of U, green of V; from RGB: kr, kb, U of B - Y, V of R - Y
};

constexpr int64_t MARGIN = 16;    // floats between scratch rows
constexpr int32_t RING = 8;       // rows of half-width chroma kept while working down

GRAINLAYER_INLINE int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }
GRAINLAYER_INLINE int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }

// Fold a place into 0..size-1; mirror about the last sample (on) or about the border.
GRAINLAYER_INLINE int32_t folded(int32_t place, int32_t size, bool on) {
    const int32_t period = on ? 2 * size - 2 : 2 * size;
    if (period <= 0) return 0;
    int32_t inside = place % period;
    if (inside < 0) inside += period;
    return inside < size ? inside : (on ? period : period - 1) - inside;
}

template <class T>
GRAINLAYER_INLINE T* row_of(const Layout& layout, int plane, int32_t row) {
    return static_cast<T*>(layout.planes[plane]) + layout.strides[plane] * row;
}

template <class T>
GRAINLAYER_INLINE T stored(float code, float peak) {
    const float above = code > 0.0f ? code : 0.0f;
    const float held = above < peak ? above : peak;
    return static_cast<T>(static_cast<int32_t>(held + 0.5f));
}

// One chroma row at luma height, less its offset.
template <class T>
GRAINLAYER_INLINE void chroma_row(const Layout& layout, int plane, int32_t y, int32_t count, float* GRAINLAYER_RESTRICT out) {
    const int32_t rows = (layout.height + layout.down) >> layout.down, own = y >> layout.down;
    const bool odd = layout.down && (y & 1);
    const int32_t other = odd ? least(own + 1, rows - 1) : most(own - 1, 0);
    const bool alone = !layout.down || (layout.on_down && !odd);
    const float far = layout.on_down ? 0.5f : 0.25f, near = 1.0f - far, offset = layout.chroma_offset;
    const T* GRAINLAYER_RESTRICT a = row_of<const T>(layout, plane, own);
    if (alone) {
        for (int32_t k = 0; k < count; ++k) out[k] = static_cast<float>(a[k]) - offset;
        return;
    }
    const T* GRAINLAYER_RESTRICT b = row_of<const T>(layout, plane, other);
    for (int32_t k = 0; k < count; ++k) out[k] = near * static_cast<float>(a[k]) + far * static_cast<float>(b[k]) - offset;
}

// A row of `count` chroma values at luma width; `out` holds 2 * count values.
GRAINLAYER_INLINE void widened(const float* GRAINLAYER_RESTRICT in, int32_t count, bool on, float* GRAINLAYER_RESTRICT out) {
    if (on) {
        for (int32_t k = 0; k + 1 < count; ++k) {
            out[2 * k] = in[k];
            out[2 * k + 1] = 0.5f * (in[k] + in[k + 1]);
        }
        out[2 * count - 2] = in[count - 1];
    } else {
        out[0] = in[0];
        for (int32_t k = 0; k + 1 < count; ++k) {
            out[2 * k + 1] = 0.75f * in[k] + 0.25f * in[k + 1];
            out[2 * k + 2] = 0.75f * in[k + 1] + 0.25f * in[k];
        }
    }
    out[2 * count - 1] = in[count - 1];
}

template <class T>
GRAINLAYER_INLINE void yuv_rows(const Layout& layout, float* image, float* scratch, int32_t first, int32_t end) {
    const int32_t width = layout.width, narrow = (width + layout.across) >> layout.across;
    const float offset = layout.luma_offset, range = layout.luma_range;
    const float red = layout.gains[0], blue = layout.gains[1], green_u = layout.gains[2], green_v = layout.gains[3];
    float* const rows[4] = {scratch, scratch + (width + MARGIN), scratch + 2 * (width + MARGIN), scratch + 3 * (width + MARGIN)};
    for (int32_t y = first; y < end; ++y) {
        for (int plane = 1; plane < 3; ++plane) {
            float* const wide = rows[plane - 1];
            chroma_row<T>(layout, plane, y, narrow, layout.across ? rows[2] : wide);
            if (layout.across) widened(rows[2], narrow, layout.on_across != 0, wide);
        }
        const T* GRAINLAYER_RESTRICT luma = row_of<const T>(layout, 0, y);
        const float* GRAINLAYER_RESTRICT u = rows[0];
        const float* GRAINLAYER_RESTRICT v = rows[1];
        float* GRAINLAYER_RESTRICT out = image + static_cast<int64_t>(y) * width * 3;
        for (int32_t x = 0; x < width; ++x) {
            const float bright = (static_cast<float>(luma[x]) - offset) / range;
            out[3 * x] = bright + v[x] * red;
            out[3 * x + 1] = (bright - u[x] * green_u) - v[x] * green_v;
            out[3 * x + 2] = bright + u[x] * blue;
        }
    }
}

template <class T>
GRAINLAYER_INLINE void code_rows(const Layout& layout, float* image, int32_t first, int32_t end) {
    const float offset = layout.luma_offset, range = layout.luma_range;
    for (int32_t y = first; y < end; ++y) {
        const T* GRAINLAYER_RESTRICT r = row_of<const T>(layout, 0, y);
        const T* GRAINLAYER_RESTRICT g = row_of<const T>(layout, 1, y);
        const T* GRAINLAYER_RESTRICT b = row_of<const T>(layout, 2, y);
        float* GRAINLAYER_RESTRICT out = image + static_cast<int64_t>(y) * layout.width * 3;
        for (int32_t x = 0; x < layout.width; ++x) {
            out[3 * x] = (static_cast<float>(r[x]) - offset) / range;
            out[3 * x + 1] = (static_cast<float>(g[x]) - offset) / range;
            out[3 * x + 2] = (static_cast<float>(b[x]) - offset) / range;
        }
    }
}

// A row of `width` values at half width; `in` has two values of room before it and two behind it, filled here.
GRAINLAYER_INLINE void narrowed(float* in, int32_t width, bool on, float* GRAINLAYER_RESTRICT out) {
    const int32_t count = (width + 1) >> 1;
    for (int32_t k = 1; k < 3; ++k) {
        const float before = in[folded(-k, width, on)], behind = in[folded(width - 1 + k, width, on)];
        in[-k] = before;
        in[width - 1 + k] = behind;
    }
    const float* GRAINLAYER_RESTRICT x = in;
    if (on) {
        for (int32_t k = 0; k < count; ++k) {
            const float sides = 0.25f * (x[2 * k - 1] + x[2 * k + 1]);
            out[k] = (0.75f * x[2 * k] + sides) - 0.125f * (x[2 * k - 2] + x[2 * k + 2]);
        }
        return;
    }
    for (int32_t k = 0; k < count; ++k) out[k] = 0.75f * (x[2 * k] + x[2 * k + 1]) - 0.25f * (x[2 * k - 1] + x[2 * k + 2]);
    if (width & 1) out[count - 1] = count > 1 ? (4.0f * x[width - 1] - out[count - 2]) / 3.0f : x[width - 1];
}

// Work out one row: luma into its plane (if `keep`), chroma at its width into u and v.
template <class T>
GRAINLAYER_INLINE void difference_row(const Layout& layout, const float* image, float* scratch, int32_t y, bool keep, float* u, float* v) {
    const int32_t width = layout.width;
    const float kr = layout.gains[0], kb = layout.gains[1], of_u = layout.gains[2], of_v = layout.gains[3];
    const float* GRAINLAYER_RESTRICT in = image + static_cast<int64_t>(y) * width * 3;
    float* GRAINLAYER_RESTRICT luma = scratch + MARGIN / 2;
    float* GRAINLAYER_RESTRICT full_u = luma + width + MARGIN;
    float* GRAINLAYER_RESTRICT full_v = full_u + width + MARGIN;
    for (int32_t x = 0; x < width; ++x) {
        const float r = in[3 * x], g = in[3 * x + 1], b = in[3 * x + 2];
        const float bright = (g + kr * (r - g)) + kb * (b - g);
        luma[x] = bright;
        full_u[x] = (b - bright) * of_u;
        full_v[x] = (r - bright) * of_v;
    }
    if (keep) {
        const float range = layout.luma_range, offset = layout.luma_offset, peak = layout.peak;
        T* GRAINLAYER_RESTRICT out = row_of<T>(layout, 0, y);
        for (int32_t x = 0; x < width; ++x) out[x] = stored<T>(luma[x] * range + offset, peak);
    }
    if (layout.count < 3) return;
    if (layout.across) {
        narrowed(full_u, width, layout.on_across != 0, u);
        narrowed(full_v, width, layout.on_across != 0, v);
    } else {
        for (int32_t x = 0; x < width; ++x) u[x] = full_u[x];
        for (int32_t x = 0; x < width; ++x) v[x] = full_v[x];
    }
}

// The ring of chroma rows while working down a plane of RGB.
struct Ring {
    float* start;
    int64_t stride;
};

GRAINLAYER_INLINE float* ring_row(const Ring& ring, int plane, int32_t y) { return ring.start + ring.stride * (plane * RING + (y & (RING - 1))); }

// Chroma row k of rows 2 k - 2 .. 2 k + 2 in the ring, as floats.
GRAINLAYER_INLINE void shortened(const Layout& layout, const Ring& ring, int plane, int32_t k, int32_t count, float* GRAINLAYER_RESTRICT out) {
    const bool on = layout.on_down != 0;
    const float* near[5];
    for (int32_t i = 0; i < 5; ++i) near[i] = ring_row(ring, plane, folded(2 * k - 2 + i, layout.height, on));
    const float* GRAINLAYER_RESTRICT a = near[1];
    const float* GRAINLAYER_RESTRICT b = near[2];
    const float* GRAINLAYER_RESTRICT c = near[3];
    const float* GRAINLAYER_RESTRICT e = near[4];
    if (on) {
        const float* GRAINLAYER_RESTRICT z = near[0];
        for (int32_t x = 0; x < count; ++x) out[x] = (0.75f * b[x] + 0.25f * (a[x] + c[x])) - 0.125f * (z[x] + e[x]);
    } else {
        for (int32_t x = 0; x < count; ++x) out[x] = 0.75f * (b[x] + c[x]) - 0.25f * (a[x] + e[x]);
    }
}

// The last chroma row of an odd number of rows, between rows: extrapolated from the last row and the chroma row before it.
GRAINLAYER_INLINE void extrapolated(const Layout& layout, const Ring& ring, int plane, int32_t k, int32_t count, float* GRAINLAYER_RESTRICT out) {
    const float* GRAINLAYER_RESTRICT last = ring_row(ring, plane, layout.height - 1);
    if (k == 0) {
        for (int32_t x = 0; x < count; ++x) out[x] = last[x];
        return;
    }
    shortened(layout, ring, plane, k - 1, count, out);
    for (int32_t x = 0; x < count; ++x) out[x] = (4.0f * last[x] - out[x]) / 3.0f;
}

template <class T>
GRAINLAYER_INLINE void keep_chroma(const Layout& layout, int plane, int32_t row, int32_t count, const float* GRAINLAYER_RESTRICT in) {
    T* GRAINLAYER_RESTRICT out = row_of<T>(layout, plane, row);
    const float offset = layout.chroma_offset, peak = layout.peak;
    for (int32_t x = 0; x < count; ++x) out[x] = stored<T>(in[x] + offset, peak);
}

template <class T>
GRAINLAYER_INLINE void difference_rows(const Layout& layout, const float* image, float* scratch, int32_t first, int32_t end) {
    const int32_t narrow = (layout.width + layout.across) >> layout.across;
    const Ring ring = {scratch + 4 * (layout.width + MARGIN), layout.width + MARGIN};
    float* const result = scratch + 3 * (layout.width + MARGIN);
    int32_t next = layout.down ? most(0, 2 * first - 3) : first;
    const int32_t from = first << layout.down, to = least(layout.height, end << layout.down);
    for (int32_t k = first; k < end; ++k) {
        const int32_t last = layout.down ? least(layout.height - 1, 2 * k + 2) : k;
        for (; next <= last; ++next) {
            difference_row<T>(layout, image, scratch, next, next >= from && next < to, ring_row(ring, 0, next), ring_row(ring, 1, next));
        }
        for (int plane = 1; plane < layout.count; ++plane) {
            const bool outside = layout.down && !layout.on_down && 2 * k + 1 == layout.height;
            if (outside) extrapolated(layout, ring, plane - 1, k, narrow, result);
            else if (layout.down) shortened(layout, ring, plane - 1, k, narrow, result);
            keep_chroma<T>(layout, plane, k, narrow, layout.down ? result : ring_row(ring, plane - 1, k));
        }
    }
}

template <class T>
GRAINLAYER_INLINE void rows_of_codes(const Layout& layout, const float* image, int32_t first, int32_t end) {
    const float offset = layout.luma_offset, range = layout.luma_range, peak = layout.peak;
    for (int32_t y = first; y < end; ++y) {
        const float* GRAINLAYER_RESTRICT in = image + static_cast<int64_t>(y) * layout.width * 3;
        T* GRAINLAYER_RESTRICT r = row_of<T>(layout, 0, y);
        T* GRAINLAYER_RESTRICT g = row_of<T>(layout, 1, y);
        T* GRAINLAYER_RESTRICT b = row_of<T>(layout, 2, y);
        for (int32_t x = 0; x < layout.width; ++x) {
            r[x] = stored<T>(in[3 * x] * range + offset, peak);
            g[x] = stored<T>(in[3 * x + 1] * range + offset, peak);
            b[x] = stored<T>(in[3 * x + 2] * range + offset, peak);
        }
    }
}

template <class T>
GRAINLAYER_INLINE void split(const void* source, const void* base, void* rest, void* grain, int64_t count, int32_t middle, int32_t peak) {
    const T* GRAINLAYER_RESTRICT s = static_cast<const T*>(source);
    const T* GRAINLAYER_RESTRICT b = static_cast<const T*>(base);
    T* GRAINLAYER_RESTRICT kept = static_cast<T*>(rest);
    T* GRAINLAYER_RESTRICT out = static_cast<T*>(grain);
    for (int64_t i = 0; i < count; ++i) {
        const int32_t whole = static_cast<int32_t>(s[i]) - static_cast<int32_t>(b[i]) + middle;
        const int32_t held = least(most(whole, 0), peak);
        out[i] = static_cast<T>(held);
        kept[i] = static_cast<T>(static_cast<int32_t>(s[i]) - held + middle);
    }
}

}  // namespace

// Rows first..end of Y, U, V as interleaved RGB. scratch: 4 (width + 16) floats.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_yuv_to_image(const Layout* layout, float* image, float* scratch, int32_t first,
                                                                            int32_t end) {
    if (layout->bytes == 1) yuv_rows<uint8_t>(*layout, image, scratch, first, end);
    else yuv_rows<uint16_t>(*layout, image, scratch, first, end);
}

// Rows first..end of R, G, B planes as interleaved RGB. scratch is not used.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_codes_to_image(const Layout* layout, float* image, float*, int32_t first,
                                                                              int32_t end) {
    if (layout->bytes == 1) code_rows<uint8_t>(*layout, image, first, end);
    else code_rows<uint16_t>(*layout, image, first, end);
}

// Interleaved RGB as Y, U, V: chroma rows first..end and the luma rows that belong to them. scratch: 20 (width + 16) floats.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_image_to_yuv(const Layout* layout, const float* image, float* scratch, int32_t first,
                                                                            int32_t end) {
    if (layout->bytes == 1) difference_rows<uint8_t>(*layout, image, scratch, first, end);
    else difference_rows<uint16_t>(*layout, image, scratch, first, end);
}

// Rows first..end of interleaved RGB as R, G, B planes.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_image_to_codes(const Layout* layout, const float* image, int32_t first, int32_t end) {
    if (layout->bytes == 1) rows_of_codes<uint8_t>(*layout, image, first, end);
    else rows_of_codes<uint16_t>(*layout, image, first, end);
}

// `count` codes of source and base as rest + grain - middle == source; what grain cannot hold stays in rest.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_split_codes(const void* source, const void* base, void* rest, void* grain, int64_t count,
                                                                           int32_t middle, int32_t peak, int32_t bytes) {
    if (bytes == 1) split<uint8_t>(source, base, rest, grain, count, middle, peak);
    else split<uint16_t>(source, base, rest, grain, count, middle, peak);
}
