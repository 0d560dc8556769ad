// Rows of pixels between a host's images and the server's pictures.
//
// A host's image has any origin, row padding, row order, depth and component layout. A picture is float32, R G B, row 0 on top, rows
// without gaps, colour not premultiplied. One pass turns the one into the other.
#pragma once

#include "abi.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace grainlayer {

enum class Depth : unsigned char { Byte, Short, Half, Float };
enum class Components : unsigned char { RGBA, RGB, Alpha };

// `data` is the address of the pixel at (bounds.x1, bounds.y1); rows go upwards by `row_bytes`, which may be negative.
struct Pixels {
    unsigned char *data = nullptr;
    std::ptrdiff_t row_bytes = 0;
    ofx::RectI bounds{};
    Depth depth = Depth::Float;
    Components components = Components::RGBA;
    bool premultiplied = false;

    int width() const { return bounds.x2 - bounds.x1; }
    int height() const { return bounds.y2 - bounds.y1; }
    std::size_t picture_bytes() const { return std::size_t(width()) * std::size_t(height()) * 12; }
    unsigned char *at(int x, int y) const;
};

std::size_t pixel_bytes(Depth depth, Components components);

// A digest of a picture's values; equal marks are taken for equal pictures.
using Mark = std::array<std::uint64_t, 2>;

// Return the mark of a host's image as a picture; where `picture` is given, write the picture there too.
Mark read_picture(const Pixels &image, float *picture);

// How a mask pulls the result back: towards the source, or towards the middle grey of signed layers.
enum class Rest : unsigned char { Source, Grey };

// Write the window of `output` from a picture of the source's size; alpha is the source's. Nothing outside the window is touched.
// Where the source has no pixel, black without alpha is written. `mask` may be null.
void write_picture(const float *picture, const Pixels &source, const Pixels &output, const ofx::RectI &window, const Pixels *mask,
                   Rest rest);

// Write the source itself into the window of `output`.
void copy_source(const Pixels &source, const Pixels &output, const ofx::RectI &window);

// Fill the part of `area` that lies within `window` with one colour, R G B A.
void fill(const Pixels &output, const ofx::RectI &window, const ofx::RectI &area, const std::array<float, 4> &colour);

} // namespace grainlayer
