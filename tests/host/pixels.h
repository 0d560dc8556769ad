// Pixel formats and their conversion from and to float32 RGBA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace host {

enum class Depth { Byte, Short, Half, Float };
enum class Components { Alpha, RGB, RGBA };

struct Format {
    Depth depth = Depth::Float;
    Components components = Components::RGBA;

    int componentBytes() const;
    int channels() const;
    int pixelBytes() const { return componentBytes() * channels(); }
    bool operator==(const Format &) const = default;
};

// Short names (byte, RGBA...) and the names of the interface.
std::optional<Depth> depthFromText(std::string_view text);
std::optional<Components> componentsFromText(std::string_view text);
const char *depthName(Depth depth);
const char *componentsName(Components components);

std::uint16_t halfFromFloat(float value); // nearest, ties to even
float floatFromHalf(std::uint16_t bits);

// One row. RGB drops alpha; Alpha keeps only alpha.
void packRow(const float *rgba, int pixels, Format format, unsigned char *out);

// The same from 16-bit numbers that are kept as they are; `format` must be Short.
void packRow16(const std::uint16_t *rgba, int pixels, Format format, unsigned char *out);

// Back to float32 RGBA: RGB gets alpha 1, Alpha is repeated in all four.
void unpackRow(const unsigned char *in, int pixels, Format format, float *rgba);
void unpackRow16(const unsigned char *in, int pixels, Format format, std::uint16_t *rgba);

} // namespace host
