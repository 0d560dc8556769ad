#include "pixels.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace grainlayer {
namespace {

constexpr int kChunk = 256;                          // pixels converted at a time, within the first-level cache
constexpr std::size_t kAlone = std::size_t(1) << 20; // pixels that one thread converts faster than two
constexpr unsigned kMostThreads = 4;

// Calls work(row, part) for 0 <= row < rows, large pictures on several threads; rows are cut into even, contiguous parts.
template <typename Work> void for_rows(int rows, int width, const Work &work) {
    const bool large = std::size_t(std::max(rows, 0)) * std::size_t(std::max(width, 0)) > kAlone;
    const int parts = large ? int(std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads)) : 1;
    auto part = [&](int index) {
        for (int row = int(std::int64_t(rows) * index / parts); row < int(std::int64_t(rows) * (index + 1) / parts); ++row)
            work(row, index);
    };
    std::vector<std::thread> others;
    for (int index = 1; index < parts; ++index) {
        try {
            others.emplace_back(part, index);
        } catch (...) {
            part(index); // no thread to be had: do it here
        }
    }
    part(0);
    for (auto &other : others)
        other.join();
}

float half_to_float(std::uint16_t half) {
    const std::uint32_t sign = std::uint32_t(half & 0x8000U) << 16, size = half & 0x7FFFU;
    if (size < 0x400U) // below the smallest normal half
        return (sign ? -1.0F : 1.0F) * float(size) * 0x1p-24F;
    return std::bit_cast<float>(sign | ((size << 13) + (size < 0x7C00U ? 112U << 23 : 224U << 23)));
}

// Rounds to nearest, ties to even, as IEEE 754 says.
std::uint16_t float_to_half(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), sign = (bits >> 16) & 0x8000U, size = bits & 0x7FFFFFFFU;
    if (size >= 0x477FF000U)
        return std::uint16_t(sign | (size > 0x7F800000U ? 0x7E00U : 0x7C00U));
    if (size < 0x38800000U) // below the smallest normal half: let the addition round
        return std::uint16_t(sign | (std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5F) - 0x3F000000U));
    return std::uint16_t(sign | (size - 0x38000000U + 0xFFFU + ((size >> 13) & 1U)) >> 13);
}

// Kept for ever: a host may end while its threads still render.
const float *half_table() {
    static const float *const table = [] {
        auto *made = new float[65536];
        for (unsigned value = 0; value < 65536; ++value)
            made[value] = half_to_float(std::uint16_t(value));
        return made;
    }();
    return table;
}

int channels_of(Components components) { return components == Components::RGBA ? 4 : components == Components::RGB ? 3 : 1; }

// Whether the image has pixels as we want them: floats R G B A, where a float may lie.
bool is_plain(const Pixels &image, const unsigned char *at) {
    return image.depth == Depth::Float && image.components == Components::RGBA && reinterpret_cast<std::uintptr_t>(at) % 4 == 0;
}

template <typename Sample, typename Convert> void widen(const unsigned char *row, int count, int channels, float *rgba, Convert convert) {
    for (int i = 0; i < count; ++i) {
        Sample sample[4];
        std::memcpy(sample, row + std::size_t(i) * std::size_t(channels) * sizeof(Sample), std::size_t(channels) * sizeof(Sample));
        for (int c = 0; c < 4; ++c)
            rgba[4 * i + c] = c < channels ? convert(sample[c]) : 1.0F;
        if (channels == 1)
            rgba[4 * i + 3] = rgba[4 * i];
    }
}

// Returns `count` pixels from (x, y) on as R G B A floats, as they are: a view of the image where it has them so, else in `room`.
const float *load(const Pixels &image, int x, int y, int count, float *room) {
    const unsigned char *row = image.at(x, y);
    if (is_plain(image, row))
        return reinterpret_cast<const float *>(row);
    const int channels = channels_of(image.components);
    switch (image.depth) {
    case Depth::Byte: widen<std::uint8_t>(row, count, channels, room, [](std::uint8_t v) { return float(v) / 255.0F; }); break;
    case Depth::Short: widen<std::uint16_t>(row, count, channels, room, [](std::uint16_t v) { return float(v) / 65535.0F; }); break;
    case Depth::Half: widen<std::uint16_t>(row, count, channels, room, [table = half_table()](std::uint16_t v) { return table[v]; }); break;
    case Depth::Float: widen<float>(row, count, channels, room, [](float v) { return v; }); break;
    }
    return room;
}

// The same with colour not premultiplied.
const float *load_plain(const Pixels &image, int x, int y, int count, float *room) {
    const float *found = load(image, x, y, count, room);
    if (!image.premultiplied || image.components != Components::RGBA)
        return found;
    for (int i = 0; i < 4 * count; ++i) {
        const float alpha = found[i | 3];
        room[i] = i % 4 == 3 || alpha == 0 ? found[i] : found[i] / alpha;
    }
    return room;
}

template <typename Sample, typename Convert> void narrow(unsigned char *row, int count, int channels, const float *rgba, Convert convert) {
    for (int i = 0; i < count; ++i) {
        Sample sample[4];
        for (int c = 0; c < channels; ++c)
            sample[c] = convert(rgba[4 * i + (channels == 1 ? 3 : c)]);
        std::memcpy(row + std::size_t(i) * std::size_t(channels) * sizeof(Sample), sample, std::size_t(channels) * sizeof(Sample));
    }
}

template <typename Code> Code to_code(float value) { // NaN becomes 0
    return value > 0 ? Code(double(std::min(value, 1.0F)) * Code(-1) + 0.5) : Code(0);
}

void store(const Pixels &image, int x, int y, int count, const float *rgba) {
    unsigned char *row = image.at(x, y);
    const int channels = channels_of(image.components);
    switch (image.depth) {
    case Depth::Byte: return narrow<std::uint8_t>(row, count, channels, rgba, to_code<std::uint8_t>);
    case Depth::Short: return narrow<std::uint16_t>(row, count, channels, rgba, to_code<std::uint16_t>);
    case Depth::Half: return narrow<std::uint16_t>(row, count, channels, rgba, float_to_half);
    case Depth::Float: return narrow<float>(row, count, channels, rgba, [](float v) { return v; });
    }
}

// Packs colour. Whole vectors are moved: each pixel's alpha is overwritten by the next pixel, the last one's lies beyond the end.
void pack(const float *rgba, int count, float *rgb) {
    for (int i = 0; i < count; ++i)
        std::memcpy(rgb + 3 * i, rgba + 4 * i, 16);
}

// Gives `count` pixels of colour the alpha of others.
void unpack(const float *rgb, const float *alpha_of, int count, float *rgba) {
    for (int i = 0; i < count - 1; ++i) {
        std::memcpy(rgba + 4 * i, rgb + 3 * i, 16);
        rgba[4 * i + 3] = alpha_of[4 * i + 3];
    }
    std::memcpy(rgba + 4 * count - 4, rgb + 3 * count - 3, 12); // there need not be a picture beyond
    rgba[4 * count - 1] = alpha_of[4 * count - 1];
}

// Copies past the caches: what is written here is read by another process, or much later.
void stream(float *to, const float *from, std::size_t count) {
#if defined(__SSE2__)
    for (; count && reinterpret_cast<std::uintptr_t>(to) % 16; --count)
        *to++ = *from++;
    for (; count >= 4; count -= 4, to += 4, from += 4)
        _mm_stream_ps(to, _mm_loadu_ps(from));
#endif
    std::memcpy(to, from, count * sizeof(float));
}

void fence() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

std::uint64_t mix(std::uint64_t value) {
    value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93U;
    value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93U;
    return value ^ (value >> 32);
}

// Digests a row of floats by products of its halves, keyed by place, eight lanes side by side.
struct RowDigest {
    explicit RowDigest(std::uint64_t seed) {
        for (unsigned lane = 0; lane < 8; ++lane)
            sums[lane] = mix(seed * 8 + lane + 1), keys[lane] = mix(~(seed * 8 + lane));
    }
    // `values` holds a multiple of 16 floats.
    void add(const float *values, int count) {
        for (int i = 0; i < count; i += 16) {
            std::uint64_t words[8];
            std::memcpy(words, values + i, sizeof words);
            for (unsigned lane = 0; lane < 8; ++lane) {
                const std::uint64_t keyed = words[lane] ^ keys[lane];
                sums[lane] += (keyed & 0xFFFFFFFFU) * (keyed >> 32) + (words[lane] << 32 | words[lane] >> 32);
                keys[lane] += 0x9E3779B97F4A7C15U;
            }
        }
    }
    Mark finish() const {
        Mark mark{};
        for (const std::uint64_t sum : sums)
            mark = {mix(mark[0] ^ sum), mix(mark[1] + sum * 0x9E3779B97F4A7C15U)};
        return mark;
    }
    std::uint64_t sums[8], keys[8];
};

Mark read_row(const Pixels &image, int row, float *to) {
    alignas(64) float room[4 * kChunk], rgb[3 * kChunk + 16];
    RowDigest digest(std::uint64_t(row) + 1);
    for (int x = 0; x < image.width(); x += kChunk) {
        const int count = std::min(kChunk, image.width() - x), floats = 3 * count, whole = (floats + 15) / 16 * 16;
        pack(load_plain(image, image.bounds.x1 + x, image.bounds.y2 - 1 - row, count, room), count, rgb);
        std::fill(rgb + floats, rgb + whole, 0.0F);
        digest.add(rgb, whole);
        if (to)
            stream(to + 3 * std::size_t(x), rgb, std::size_t(floats));
    }
    fence();
    return digest.finish();
}

ofx::RectI common(const ofx::RectI &a, const ofx::RectI &b) {
    return {std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2), std::min(a.y2, b.y2)};
}

// Pulls the result back towards `rest` where the mask is not 1. Where it has no pixel it is 0.
void mask_out(const Pixels &mask, int x, int y, int count, const float *source, Rest rest, float *rgba) {
    float room[4 * kChunk], shares[kChunk] = {};
    const ofx::RectI part = common({x, y, x + count, y + 1}, mask.bounds);
    const int channel = mask.components == Components::RGB ? 0 : 3;
    const float *found = part.x1 < part.x2 && part.y1 < part.y2 ? load(mask, part.x1, y, part.x2 - part.x1, room) : nullptr;
    for (int i = part.x1; found && i < part.x2; ++i)
        shares[i - x] = found[4 * (i - part.x1) + channel];
    for (int i = 0; i < 4 * count; ++i) {
        const float share = shares[i / 4], still = rest == Rest::Source ? source[i] : 0.5F;
        if (i % 4 < 3 && share != 1)
            rgba[i] = still + share * (rgba[i] - still);
    }
}

// Calls part(x, y, count) for the source's share of the window, in chunks, and writes black elsewhere.
template <typename Part> void for_window(const Pixels &source, const Pixels &output, const ofx::RectI &asked, const Part &part) {
    const ofx::RectI window = common(asked, output.bounds), shared = common(window, source.bounds);
    auto clear = [&](int from, int to, int y) {
        if (from < to)
            std::memset(output.at(from, y), 0, std::size_t(to - from) * pixel_bytes(output.depth, output.components));
    };
    for_rows(window.y2 - window.y1, window.x2 - window.x1, [&](int row, int) {
        const int y = window.y1 + row;
        const bool seen = y >= shared.y1 && y < shared.y2 && shared.x1 < shared.x2;
        const int from = seen ? shared.x1 : window.x2, to = seen ? shared.x2 : window.x2;
        clear(window.x1, from, y);
        for (int x = from; x < to; x += kChunk)
            part(x, y, std::min(kChunk, to - x));
        clear(to, window.x2, y);
        fence();
    });
}

} // namespace

unsigned char *Pixels::at(int x, int y) const {
    return data + std::ptrdiff_t(y - bounds.y1) * row_bytes +
           std::ptrdiff_t(x - bounds.x1) * std::ptrdiff_t(pixel_bytes(depth, components));
}

std::size_t pixel_bytes(Depth depth, Components components) {
    return std::size_t(channels_of(components)) * (depth == Depth::Byte ? 1 : depth == Depth::Float ? 4 : 2);
}

Mark read_picture(const Pixels &image, float *picture) {
    std::array<Mark, kMostThreads> sums{};
    for_rows(image.height(), image.width(), [&](int row, int part) {
        const Mark mark = read_row(image, row, picture ? picture + 3 * std::size_t(row) * std::size_t(image.width()) : nullptr);
        sums[std::size_t(part)][0] += mark[0];
        sums[std::size_t(part)][1] += mark[1];
    });
    Mark whole{std::uint64_t(image.width()), std::uint64_t(image.height())};
    for (const Mark &sum : sums)
        whole = {whole[0] + sum[0], whole[1] + sum[1]};
    return {mix(whole[0]), mix(whole[1])};
}

void write_picture(const float *picture, const Pixels &source, const Pixels &output, const ofx::RectI &window, const Pixels *mask,
                   Rest rest) {
    for_window(source, output, window, [&](int x, int y, int count) {
        alignas(64) float room[4 * kChunk], made[4 * kChunk];
        const std::size_t row = std::size_t(source.bounds.y2 - 1 - y), column = std::size_t(x - source.bounds.x1);
        const float *from = load_plain(source, x, y, count, room);
        unpack(picture + 3 * (row * std::size_t(source.width()) + column), from, count, made);
        if (mask)
            mask_out(*mask, x, y, count, from, rest, made);
        if (output.premultiplied && output.components == Components::RGBA)
            for (int i = 0; i < 4 * count; ++i)
                made[i] *= i % 4 < 3 && made[i | 3] != 0 ? made[i | 3] : 1.0F;
        if (unsigned char *to = output.at(x, y); is_plain(output, to))
            stream(reinterpret_cast<float *>(to), made, 4 * std::size_t(count));
        else
            store(output, x, y, count, made);
    });
}

void copy_source(const Pixels &source, const Pixels &output, const ofx::RectI &window) {
    const bool alike = source.depth == output.depth && source.components == output.components;
    for_window(source, output, window, [&](int x, int y, int count) {
        float room[4 * kChunk];
        if (alike)
            std::memcpy(output.at(x, y), source.at(x, y), std::size_t(count) * pixel_bytes(source.depth, source.components));
        else
            store(output, x, y, count, load(source, x, y, count, room));
    });
}

void fill(const Pixels &output, const ofx::RectI &window, const ofx::RectI &area, const std::array<float, 4> &colour) {
    const ofx::RectI part = common(common(area, window), output.bounds);
    for (int y = part.y1; y < part.y2; ++y)
        for (int x = part.x1; x < part.x2; ++x)
            store(output, x, y, 1, colour.data());
}

} // namespace grainlayer
