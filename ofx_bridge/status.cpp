#include "effects.h"

#include <algorithm>

namespace grainlayer {
namespace {

#include "glyphs.inc"

constexpr std::array<float, 4> kPaper{0.06F, 0.06F, 0.06F, 1.0F}, kInk{0.92F, 0.92F, 0.92F, 1.0F};

// Breaks lines at spaces so that none is longer than `most` letters.
std::vector<std::string> broken(const std::string &text, std::size_t most) {
    std::vector<std::string> lines;
    for (std::size_t from = 0; from <= text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        std::string line = text.substr(from, end - from);
        while (line.size() > most) {
            const std::size_t space = line.rfind(' ', most);
            const std::size_t cut = space == std::string::npos || space == 0 ? most : space;
            lines.push_back(line.substr(0, cut));
            line.erase(0, line[cut] == ' ' ? cut + 1 : cut);
        }
        if (!line.empty())
            lines.push_back(line);
        from = end + 1;
    }
    return lines;
}

void draw_letter(const Pixels &image, const ofx::RectI &window, unsigned char letter, int x, int top, int dot) {
    const unsigned char *rows = kGlyphs[letter >= 32 && letter < 127 ? letter - 32 : '?' - 32];
    for (int row = 0; row < 7; ++row)
        for (int column = 0; column < 5; ++column)
            if (rows[row] >> (4 - column) & 1)
                fill(image, window, {x + column * dot, top - (row + 1) * dot, x + (column + 1) * dot, top - row * dot}, kInk);
}

} // namespace

// Draws lines of text into the top left corner, as large as the picture allows.
void draw_lines(const Pixels &image, const ofx::RectI &window, const std::string &text) {
    const int dot = std::max(1, image.height() / 360);
    const std::size_t most = std::size_t(std::max(1, image.width() / (6 * dot) - 2));
    const auto lines = broken(text, most);
    std::size_t longest = 0;
    for (const auto &line : lines)
        longest = std::max(longest, line.size());
    const int left = image.bounds.x1, top = image.bounds.y2;
    fill(image, window, {left, top - (int(lines.size()) * 10 + 4) * dot, left + (int(longest) * 6 + 6) * dot, top}, kPaper);
    for (std::size_t row = 0; row < lines.size(); ++row)
        for (std::size_t i = 0; i < lines[row].size(); ++i)
            draw_letter(image, window, static_cast<unsigned char>(lines[row][i]), left + (3 + int(i) * 6) * dot, top - (4 + int(row) * 10) * dot, dot);
}

} // namespace grainlayer
