#include "pixels.h"

#include "../../ofx_bridge/abi.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace host {

int Format::componentBytes() const
{
    static constexpr int bytes[] = {1, 2, 2, 4};
    return bytes[static_cast<int>(depth)];
}

int Format::channels() const
{
    static constexpr int counts[] = {1, 3, 4};
    return counts[static_cast<int>(components)];
}

std::optional<Depth> depthFromText(std::string_view text)
{
    static constexpr const char *shortNames[] = {"byte", "short", "half", "float"};
    for (int i = 0; i < 4; ++i) {
        const auto depth = static_cast<Depth>(i);
        if (text == shortNames[i] || text == depthName(depth)) {
            return depth;
        }
    }
    return std::nullopt;
}

std::optional<Components> componentsFromText(std::string_view text)
{
    static constexpr const char *shortNames[] = {"Alpha", "RGB", "RGBA"};
    for (int i = 0; i < 3; ++i) {
        const auto components = static_cast<Components>(i);
        if (text == shortNames[i] || text == componentsName(components)) {
            return components;
        }
    }
    return std::nullopt;
}

const char *depthName(Depth depth)
{
    static constexpr const char *names[] = {ofx::kBitDepthByte, ofx::kBitDepthShort,
        ofx::kBitDepthHalf, ofx::kBitDepthFloat};
    return names[static_cast<int>(depth)];
}

const char *componentsName(Components components)
{
    static constexpr const char *names[] = {ofx::kImageComponentAlpha, ofx::kImageComponentRGB,
        ofx::kImageComponentRGBA};
    return names[static_cast<int>(components)];
}

std::uint16_t halfFromFloat(float value)
{
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    std::uint32_t half = 0;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00u; // not a number
    } else if (magnitude >= 0x477ff000u) {
        half = 0x7c00u; // rounds to infinity
    } else if (magnitude >= 0x38800000u) {
        const std::uint32_t rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
        half = (rounded - 0x38000000u) >> 13;
    } else {
        // Subnormal: scaled so that one unit is one step; the addition rounds ties to even.
        const float steps = std::bit_cast<float>(magnitude) * 16777216.0f;
        half = static_cast<std::uint32_t>(std::nearbyint(steps));
    }
    return static_cast<std::uint16_t>(sign | half);
}

float floatFromHalf(std::uint16_t bits)
{
    const std::uint32_t sign = (bits & 0x8000u) * 0x10000u;
    const std::uint32_t exponent = (bits >> 10) & 0x1fu;
    const std::uint32_t fraction = bits & 0x3ffu;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(fraction) / 16777216.0f;
        return sign != 0 ? -magnitude : magnitude;
    }
    const std::uint32_t wide = exponent == 31 ? 0xffu : exponent + 112u;
    return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

namespace {

float toInteger(float value, float most)
{
    const float scaled = std::nearbyint(value * most);
    return scaled >= 0.0f ? std::min(scaled, most) : 0.0f; // NaN becomes 0
}

void packComponent(float value, Depth depth, unsigned char *out)
{
    switch (depth) {
    case Depth::Byte:
        *out = static_cast<unsigned char>(toInteger(value, 255.0f));
        return;
    case Depth::Short: {
        const auto number = static_cast<std::uint16_t>(toInteger(value, 65535.0f));
        std::memcpy(out, &number, sizeof number);
        return;
    }
    case Depth::Half: {
        const std::uint16_t number = halfFromFloat(value);
        std::memcpy(out, &number, sizeof number);
        return;
    }
    case Depth::Float:
        std::memcpy(out, &value, sizeof value);
        return;
    }
}

float unpackComponent(const unsigned char *in, Depth depth)
{
    if (depth == Depth::Byte) {
        return static_cast<float>(*in) / 255.0f;
    }
    if (depth == Depth::Float) {
        float value = 0.0f;
        std::memcpy(&value, in, sizeof value);
        return value;
    }
    std::uint16_t number = 0;
    std::memcpy(&number, in, sizeof number);
    return depth == Depth::Half ? floatFromHalf(number) : static_cast<float>(number) / 65535.0f;
}

// Which component of RGBA is the first that the format holds.
int firstComponent(Format format) { return format.components == Components::Alpha ? 3 : 0; }

} // namespace

void packRow(const float *rgba, int pixels, Format format, unsigned char *out)
{
    if (format == Format{}) {
        std::memcpy(out, rgba, static_cast<std::size_t>(pixels) * 16);
        return;
    }
    const int first = firstComponent(format);
    const int bytes = format.componentBytes();
    for (int x = 0; x < pixels; ++x, rgba += 4) {
        for (int c = 0; c < format.channels(); ++c, out += bytes) {
            packComponent(rgba[first + c], format.depth, out);
        }
    }
}

void packRow16(const std::uint16_t *rgba, int pixels, Format format, unsigned char *out)
{
    const int first = firstComponent(format);
    for (int x = 0; x < pixels; ++x, rgba += 4) {
        for (int c = 0; c < format.channels(); ++c, out += 2) {
            std::memcpy(out, &rgba[first + c], 2);
        }
    }
}

void unpackRow(const unsigned char *in, int pixels, Format format, float *rgba)
{
    if (format == Format{}) {
        std::memcpy(rgba, in, static_cast<std::size_t>(pixels) * 16);
        return;
    }
    const int bytes = format.componentBytes();
    const int channels = format.channels();
    for (int x = 0; x < pixels; ++x, rgba += 4, in += channels * bytes) {
        for (int c = 0; c < 4; ++c) {
            if (channels == 1) {
                rgba[c] = unpackComponent(in, format.depth);
            } else {
                rgba[c] = c < channels ? unpackComponent(in + c * bytes, format.depth) : 1.0f;
            }
        }
    }
}

void unpackRow16(const unsigned char *in, int pixels, Format format, std::uint16_t *rgba)
{
    const int channels = format.channels();
    for (int x = 0; x < pixels; ++x, rgba += 4, in += channels * 2) {
        for (int c = 0; c < 4; ++c) {
            if (channels == 1) {
                std::memcpy(&rgba[c], in, 2);
            } else if (c < channels) {
                std::memcpy(&rgba[c], in + c * 2, 2);
            } else {
                rgba[c] = 65535;
            }
        }
    }
}

} // namespace host
