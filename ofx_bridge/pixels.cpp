#include "pixels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define GRAINLAYER_SSE2 1
#endif

namespace grainlayer {
namespace {

constexpr int kChunk = 256;                    // pixels converted at a time, within the first-level cache
constexpr std::size_t kAlone = std::size_t(1) << 20; // pixels that one thread converts faster than two
constexpr unsigned kMostThreads = 4;

// Calls work(row) for 0 <= row < rows, large pictures on several threads; rows are cut into even, contiguous parts.
template <typename Work> void for_rows(int rows, int width, const Work &work) {
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    const bool large = std::size_t(std::max(rows, 0)) * std::size_t(std::max(width, 0)) > kAlone;
    const int parts = large ? int(std::min(cores, kMostThreads)) : 1;
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
    const std::uint32_t sign = std::uint32_t(half & 0x8000U) << 16, exponent = (half >> 10) & 31U, fraction = half & 0x3FFU;
    if (exponent == 31)
        return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13);
    if (exponent == 0) {
        const float small = float(fraction) * 0x1p-24F;
        return sign ? -small : small;
    }
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

// Rounds to nearest, ties to even, as IEEE 754 says.
std::uint16_t float_to_half(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), sign = (bits >> 16) & 0x8000U, size = bits & 0x7FFFFFFFU;
    if (size > 0x7F800000U)
        return std::uint16_t(sign | 0x7E00U);
    if (size >= 0x477FF000U)
        return std::uint16_t(sign | 0x7C00U);
    if (size < 0x38800000U) { // below the smallest normal half: let the addition round
        const float shifted = std::bit_cast<float>(size) + 0.5F;
        return std::uint16_t(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
    }
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

int channels_of(Components components) { return components == Components::RGBA ? 4 : components == Components::RGB ? 3 : 1; }

void unpremultiply(float *rgba, int count) {
    for (int i = 0; i < count; ++i) {
        const float alpha = rgba[4 * i + 3];
        for (int c = 0; c < 3; ++c)
            rgba[4 * i + c] = alpha != 0 ? rgba[4 * i + c] / alpha : rgba[4 * i + c];
    }
}

// Returns `count` pixels from (x, y) on as R G B A floats, as they are: a view of the image where it has them so, else in `room`.
const float *load(const Pixels &image, int x, int y, int count, float *room) {
    const unsigned char *row = image.at(x, y);
    if (image.depth == Depth::Float && image.components == Components::RGBA && reinterpret_cast<std::uintptr_t>(row) % 4 == 0)
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
    if (found != room)
        std::memcpy(room, found, std::size_t(count) * 16);
    unpremultiply(room, count);
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

template <int White> unsigned to_code(float value) { // NaN becomes 0
    return value > 0 ? unsigned(double(std::min(value, 1.0F)) * White + 0.5) : 0U;
}

void store(const Pixels &image, int x, int y, int count, const float *rgba) {
    unsigned char *row = image.at(x, y);
    const int channels = channels_of(image.components);
    switch (image.depth) {
    case Depth::Byte: narrow<std::uint8_t>(row, count, channels, rgba, [](float v) { return std::uint8_t(to_code<255>(v)); }); break;
    case Depth::Short: narrow<std::uint16_t>(row, count, channels, rgba, [](float v) { return std::uint16_t(to_code<65535>(v)); }); break;
    case Depth::Half: narrow<std::uint16_t>(row, count, channels, rgba, float_to_half); break;
    case Depth::Float: narrow<float>(row, count, channels, rgba, [](float v) { return v; }); break;
    }
}

void pack(const float *rgba, int count, float *rgb) {
    int i = 0;
#if GRAINLAYER_SSE2
    for (; i + 4 <= count; i += 4) {
        const __m128 a = _mm_loadu_ps(rgba + 4 * i), b = _mm_loadu_ps(rgba + 4 * i + 4);
        const __m128 c = _mm_loadu_ps(rgba + 4 * i + 8), d = _mm_loadu_ps(rgba + 4 * i + 12);
        const __m128 ab = _mm_shuffle_ps(a, b, _MM_SHUFFLE(0, 0, 2, 2)), cd = _mm_shuffle_ps(c, d, _MM_SHUFFLE(0, 0, 2, 2));
        _mm_storeu_ps(rgb + 3 * i, _mm_shuffle_ps(a, ab, _MM_SHUFFLE(2, 0, 1, 0)));
        _mm_storeu_ps(rgb + 3 * i + 4, _mm_shuffle_ps(b, c, _MM_SHUFFLE(1, 0, 2, 1)));
        _mm_storeu_ps(rgb + 3 * i + 8, _mm_shuffle_ps(cd, d, _MM_SHUFFLE(2, 1, 2, 0)));
    }
#endif
    for (; i < count; ++i)
        for (int c = 0; c < 3; ++c)
            rgb[3 * i + c] = rgba[4 * i + c];
}

// Gives `count` pixels of colour the alpha of others.
void unpack(const float *rgb, const float *alpha_of, int count, float *rgba) {
    int i = 0;
#if GRAINLAYER_SSE2
    for (; i + 4 <= count; i += 4) {
        const __m128 a = _mm_loadu_ps(rgb + 3 * i), b = _mm_loadu_ps(rgb + 3 * i + 4), c = _mm_loadu_ps(rgb + 3 * i + 8);
        const __m128 s0 = _mm_loadu_ps(alpha_of + 4 * i), s1 = _mm_loadu_ps(alpha_of + 4 * i + 4);
        const __m128 s2 = _mm_loadu_ps(alpha_of + 4 * i + 8), s3 = _mm_loadu_ps(alpha_of + 4 * i + 12);
        const __m128 end0 = _mm_shuffle_ps(a, s0, _MM_SHUFFLE(3, 3, 2, 2)), end1 = _mm_shuffle_ps(b, s1, _MM_SHUFFLE(3, 3, 1, 1));
        const __m128 begin1 = _mm_shuffle_ps(a, b, _MM_SHUFFLE(0, 0, 3, 3)), end2 = _mm_shuffle_ps(c, s2, _MM_SHUFFLE(3, 3, 0, 0));
        const __m128 end3 = _mm_shuffle_ps(c, s3, _MM_SHUFFLE(3, 3, 3, 3));
        _mm_storeu_ps(rgba + 4 * i, _mm_shuffle_ps(a, end0, _MM_SHUFFLE(2, 0, 1, 0)));
        _mm_storeu_ps(rgba + 4 * i + 4, _mm_shuffle_ps(begin1, end1, _MM_SHUFFLE(2, 0, 2, 0)));
        _mm_storeu_ps(rgba + 4 * i + 8, _mm_shuffle_ps(b, end2, _MM_SHUFFLE(2, 0, 3, 2)));
        _mm_storeu_ps(rgba + 4 * i + 12, _mm_shuffle_ps(c, end3, _MM_SHUFFLE(2, 0, 2, 1)));
    }
#endif
    for (; i < count; ++i) {
        for (int c = 0; c < 3; ++c)
            rgba[4 * i + c] = rgb[3 * i + c];
        rgba[4 * i + 3] = alpha_of[4 * i + 3];
    }
}

// Copies past the caches: what is written here is read by another process, or much later.
void stream(float *to, const float *from, std::size_t count) {
#if GRAINLAYER_SSE2
    while (count && reinterpret_cast<std::uintptr_t>(to) % 16) {
        *to++ = *from++;
        --count;
    }
    for (; count >= 4; count -= 4, to += 4, from += 4)
        _mm_stream_ps(to, _mm_loadu_ps(from));
#endif
    std::memcpy(to, from, count * sizeof(float));
}

void fence() {
#if GRAINLAYER_SSE2
    _mm_sfence();
#endif
}

std::uint64_t mix(std::uint64_t value) {
    value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93U;
    value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93U;
    return value ^ (value >> 32);
}

// Digests a row of floats by products of its halves, keyed by place, eight lanes side by side.
class RowDigest {
public:
    explicit RowDigest(std::uint64_t seed) {
        for (unsigned lane = 0; lane < 8; ++lane)
            sums_[lane] = mix(seed * 8 + lane + 1), keys_[lane] = mix(~(seed * 8 + lane));
    }
    // `values` holds a multiple of 16 floats.
    void add(const float *values, int count) {
        for (int i = 0; i < count; i += 16) {
            std::uint64_t words[8];
            std::memcpy(words, values + i, sizeof words);
            for (unsigned lane = 0; lane < 8; ++lane) {
                const std::uint64_t keyed = words[lane] ^ keys_[lane];
                sums_[lane] += (keyed & 0xFFFFFFFFU) * (keyed >> 32) + (words[lane] << 32 | words[lane] >> 32);
                keys_[lane] += 0x9E3779B97F4A7C15U;
            }
        }
    }
    Mark finish() const {
        Mark mark{};
        for (unsigned lane = 0; lane < 8; ++lane) {
            mark[0] = mix(mark[0] ^ sums_[lane]);
            mark[1] = mix(mark[1] + sums_[lane] * 0x9E3779B97F4A7C15U);
        }
        return mark;
    }

private:
    std::uint64_t sums_[8], keys_[8];
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

// What one row of a write needs.
struct Writing {
    const float *picture;
    const Pixels &source, &output;
    const Pixels *mask;
    Rest rest;
};

void mask_out(const Writing &w, int x, int y, int count, const float *source, float *rgba) {
    float room[4 * kChunk];
    const ofx::RectI part{x, y, x + count, y + 1};
    const bool whole = contains(w.mask->bounds, part);
    const float *mask = whole ? load(*w.mask, x, y, count, room) : room;
    for (int i = 0; i < count; ++i) {
        const ofx::RectI pixel{x + i, y, x + i + 1, y + 1};
        if (!whole && contains(w.mask->bounds, pixel))
            load(*w.mask, x + i, y, 1, room + 4 * i);
        else if (!whole)
            room[4 * i + 3] = 0;
    }
    const int channel = w.mask->components == Components::RGB ? 0 : 3;
    for (int i = 0; i < count; ++i) {
        const float share = mask[4 * i + channel];
        for (int c = 0; c < 3; ++c) {
            const float still = w.rest == Rest::Source ? source[4 * i + c] : 0.5F;
            rgba[4 * i + c] = share == 1 ? rgba[4 * i + c] : still + share * (rgba[4 * i + c] - still);
        }
    }
}

void write_chunk(const Writing &w, int x, int y, int count) {
    alignas(64) float room[4 * kChunk], made[4 * kChunk];
    const std::size_t row = std::size_t(w.source.bounds.y2 - 1 - y), column = std::size_t(x - w.source.bounds.x1);
    const float *source = load_plain(w.source, x, y, count, room);
    unpack(w.picture + 3 * (row * std::size_t(w.source.width()) + column), source, count, made);
    if (w.mask)
        mask_out(w, x, y, count, source, made);
    if (w.output.premultiplied && w.output.components == Components::RGBA)
        for (int i = 0; i < count; ++i)
            for (int c = 0; c < 3; ++c)
                made[4 * i + c] *= made[4 * i + 3] != 0 ? made[4 * i + 3] : 1.0F;
    unsigned char *to = w.output.at(x, y);
    if (w.output.depth == Depth::Float && w.output.components == Components::RGBA && reinterpret_cast<std::uintptr_t>(to) % 4 == 0)
        stream(reinterpret_cast<float *>(to), made, 4 * std::size_t(count));
    else
        store(w.output, x, y, count, made);
}

void copy_chunk(const Pixels &source, const Pixels &output, int x, int y, int count) {
    if (source.depth == output.depth && source.components == output.components && source.premultiplied == output.premultiplied) {
        std::memcpy(output.at(x, y), source.at(x, y), std::size_t(count) * pixel_bytes(source.depth, source.components));
        return;
    }
    float room[4 * kChunk];
    store(output, x, y, count, load(source, x, y, count, room));
}

// Calls part(x, y, count) for the source's share of the window, in chunks, and writes black elsewhere.
template <typename Part> void for_window(const Pixels &source, const Pixels &output, const ofx::RectI &asked, const Part &part) {
    const ofx::RectI window{std::max(asked.x1, output.bounds.x1), std::max(asked.y1, output.bounds.y1), std::min(asked.x2, output.bounds.x2),
                            std::min(asked.y2, output.bounds.y2)};
    const int from = std::clamp(source.bounds.x1, window.x1, std::max(window.x1, window.x2));
    const int to = std::clamp(source.bounds.x2, from, std::max(from, window.x2));
    const std::size_t pixel = pixel_bytes(output.depth, output.components);
    for_rows(window.y2 - window.y1, window.x2 - window.x1, [&](int row, int) {
        const int y = window.y1 + row;
        if (y < source.bounds.y1 || y >= source.bounds.y2 || from >= to) {
            std::memset(output.at(window.x1, y), 0, std::size_t(std::max(window.x2 - window.x1, 0)) * pixel);
            return;
        }
        std::memset(output.at(window.x1, y), 0, std::size_t(from - window.x1) * pixel);
        for (int x = from; x < to; x += kChunk)
            part(x, y, std::min(kChunk, to - x));
        std::memset(output.at(to, y), 0, std::size_t(window.x2 - to) * pixel);
        fence();
    });
}

} // namespace

unsigned char *Pixels::at(int x, int y) const {
    return data + std::ptrdiff_t(y - bounds.y1) * row_bytes + std::ptrdiff_t(x - bounds.x1) * std::ptrdiff_t(pixel_bytes(depth, components));
}

std::size_t pixel_bytes(Depth depth, Components components) {
    const std::size_t sample = depth == Depth::Byte ? 1 : depth == Depth::Float ? 4 : 2;
    return sample * std::size_t(channels_of(components));
}

bool contains(const ofx::RectI &outer, const ofx::RectI &inner) {
    return outer.x1 <= inner.x1 && outer.y1 <= inner.y1 && outer.x2 >= inner.x2 && outer.y2 >= inner.y2;
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

void write_picture(const float *picture, const Pixels &source, const Pixels &output, const ofx::RectI &window, const Pixels *mask, Rest rest) {
    const Writing writing{picture, source, output, mask, rest};
    for_window(source, output, window, [&](int x, int y, int count) { write_chunk(writing, x, y, count); });
}

void copy_source(const Pixels &source, const Pixels &output, const ofx::RectI &window) {
    for_window(source, output, window, [&](int x, int y, int count) { copy_chunk(source, output, x, y, count); });
}

void fill(const Pixels &output, const ofx::RectI &window, const ofx::RectI &area, const std::array<float, 4> &colour) {
    const ofx::RectI &bounds = output.bounds;
    const ofx::RectI part{std::max({area.x1, window.x1, bounds.x1}), std::max({area.y1, window.y1, bounds.y1}),
                          std::min({area.x2, window.x2, bounds.x2}), std::min({area.y2, window.y2, bounds.y2})};
    for (int y = part.y1; y < part.y2; ++y)
        for (int x = part.x1; x < part.x2; ++x)
            store(output, x, y, 1, colour.data());
}

} // namespace grainlayer
