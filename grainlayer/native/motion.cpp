// Motion between two pictures by blocks of 8 pixels, each seen through a window of 16, and the sum of pictures along it.
// inference/motion.py holds the slow twins.
#include <algorithm>
#include <cmath>

#include "abi.h"

// Mirrored by MotionJob in grainlayer/inference/motion.py. Planes have `margin` samples on every side.
struct GrainlayerMotion {
    const float* here;
    const float* there;
    const float* guess;     // (guess_rows, guess_columns, 2): motion (y, x) at half this size, or null
    float* motion;          // (rows, columns, 2): y, x in samples; a block's window is found at its place plus motion
    float* apart;           // (rows, columns): mean square difference there
    int64_t height, width, margin, guess_rows, guess_columns;
    int32_t range, fine;    // whole samples searched around the best guess; 1: then halves and quarters
    float drift;            // price of a sample's distance from the guess, in units of the sum of absolute differences
};

// Mirrored by FuseJob. Pictures are (height, width, 3); beyond their border they repeat it.
struct GrainlayerFuse {
    const float* here;
    const void* const* there; // `count` pictures
    const float* motion;      // (count, rows, columns, 2)
    const float* weight;      // (count, rows, columns)
    float* out;               // (height, width, 3)
    int64_t height, width;
    int32_t count;
};

// Mirrored by AlignJob. The plane is (height, width), multiples of `block`; beyond its border it is repeated.
struct GrainlayerAlign {
    const float* there;
    const float* motion;                // (rows, columns, 2): y, x in samples of the plane times `times`
    float* out;                         // blocks top.. and left..right - 1, `block` samples a side, as many to a line
    int64_t height, width, columns;
    int64_t block, top, left, right;    // block: 8 or 4
    int64_t step;                       // from one sample of `out` to the next
    float times;
};

namespace {

constexpr int64_t kBlock = 8, kWindow = 16, kBefore = 4;

struct Place {
    float y, x;
};

// Sum of absolute (square = false) or squared differences of the window at (y, x) and the one moved there. Columns are summed
// apart and then in order, so that every SIMD width gives the same bits.
template <bool square>
GRAINLAYER_INLINE float difference(const GrainlayerMotion& job, int64_t y, int64_t x, Place move) {
    const int64_t pitch = job.width + 2 * job.margin;
    const float floor_y = std::floor(move.y), floor_x = std::floor(move.x);
    const float fy = move.y - floor_y, fx = move.x - floor_x;
    const float* a = job.here + (y + job.margin) * pitch + x + job.margin;
    const float* b = job.there + (y + static_cast<int64_t>(floor_y) + job.margin) * pitch + x + static_cast<int64_t>(floor_x) + job.margin;
    const float w00 = (1 - fy) * (1 - fx), w01 = (1 - fy) * fx, w10 = fy * (1 - fx), w11 = fy * fx;
    const bool whole = fy == 0.0f && fx == 0.0f;
    float sums[kWindow] = {};
    for (int64_t row = 0; row < kWindow; ++row, a += pitch, b += pitch) {
        const float* below = b + pitch;
        for (int64_t k = 0; k < kWindow; ++k) {
            const float other = whole ? b[k] : w00 * b[k] + w01 * b[k + 1] + w10 * below[k] + w11 * below[k + 1];
            const float gap = a[k] - other;
            sums[k] += square ? gap * gap : std::fabs(gap);
        }
    }
    float total = 0;
    for (int64_t k = 0; k < kWindow; ++k) total += sums[k];
    return total;
}

struct Search {
    int64_t y, x; // first sample of the block's window
    Place guess, best;
    float least;
};

GRAINLAYER_INLINE bool inside(const GrainlayerMotion& job, const Search& search, Place move) {
    const float room = static_cast<float>(job.margin - 2);
    const float y = static_cast<float>(search.y) + move.y, x = static_cast<float>(search.x) + move.x;
    return y >= -room && x >= -room && y + static_cast<float>(kWindow) <= static_cast<float>(job.height) + room &&
           x + static_cast<float>(kWindow) <= static_cast<float>(job.width) + room;
}

GRAINLAYER_INLINE void consider(const GrainlayerMotion& job, Search& search, Place move) {
    if (!inside(job, search, move)) return;
    const float price = job.drift * (std::fabs(move.y - search.guess.y) + std::fabs(move.x - search.guess.x));
    if (price >= search.least) return;
    const float cost = difference<false>(job, search.y, search.x, move) + price;
    if (cost < search.least) {
        search.least = cost;
        search.best = move;
    }
}

GRAINLAYER_INLINE void around(const GrainlayerMotion& job, Search& search, float step) {
    const Place centre = search.best;
    for (int32_t n = 0; n < 9; ++n)
        if (n != 4) consider(job, search, {centre.y + step * static_cast<float>(n / 3 - 1), centre.x + step * static_cast<float>(n % 3 - 1)});
}

GRAINLAYER_INLINE Place guessed(const GrainlayerMotion& job, int64_t row, int64_t column) {
    const int64_t r = std::clamp<int64_t>(row, 0, job.guess_rows - 1), c = std::clamp<int64_t>(column, 0, job.guess_columns - 1);
    const float* at = job.guess + 2 * (r * job.guess_columns + c);
    return {std::floor(2 * at[0] + 0.5f), std::floor(2 * at[1] + 0.5f)};
}

GRAINLAYER_INLINE void search_block(const GrainlayerMotion& job, int64_t row, int64_t column, int64_t columns) {
    Search search{row * kBlock - kBefore, column * kBlock - kBefore, {0, 0}, {0, 0}, 3e38f};
    if (job.guess != nullptr) {
        search.guess = guessed(job, row / 2, column / 2);
        const int64_t beside_row = row / 2 + ((row & 1) ? 1 : -1), beside_column = column / 2 + ((column & 1) ? 1 : -1);
        consider(job, search, search.guess);
        consider(job, search, guessed(job, beside_row, column / 2));
        consider(job, search, guessed(job, row / 2, beside_column));
        consider(job, search, guessed(job, beside_row, beside_column));
        consider(job, search, {0, 0});
        for (int32_t turn = 0; turn < job.range; ++turn) {
            const Place before = search.best;
            around(job, search, 1.0f);
            if (before.y == search.best.y && before.x == search.best.x) break;
        }
    } else {
        for (int32_t dy = -job.range; dy <= job.range; ++dy)
            for (int32_t dx = -job.range; dx <= job.range; ++dx) consider(job, search, {static_cast<float>(dy), static_cast<float>(dx)});
    }
    if (job.fine) {
        around(job, search, 0.5f);
        around(job, search, 0.25f);
    }
    const int64_t place = row * columns + column;
    job.motion[2 * place] = search.best.y;
    job.motion[2 * place + 1] = search.best.x;
    job.apart[place] = difference<true>(job, search.y, search.x, search.best) / static_cast<float>(kWindow * kWindow);
}

constexpr int64_t kTaps = 6, kFirst = 2; // samples read along a line, and how many of them lie before the place

// Six-tap interpolation at quarters, Lanczos' kernel of three lobes made to add up to 1: it keeps detail that fewer taps blur.
constexpr float kLanczos[4][kTaps] = {
    {0.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f},
    {0.0301122854f, -0.133274636f, 0.892770774f, 0.271010568f, -0.067997263f, 0.00737827086f},
    {0.0244565217f, -0.135869565f, 0.611413043f, 0.611413043f, -0.135869565f, 0.0244565217f},
    {0.00737827086f, -0.067997263f, 0.271010568f, 0.892770774f, -0.133274636f, 0.0301122854f},
};

constexpr int64_t kRow = kWindow * 3;

constexpr int64_t kTall = kBlock + kTaps - 1, kWide = (kWindow + kTaps - 1) * 3;

// A part of a picture, (13, 21, 3), whose first sample is (y, x): where it lies, or copied to `held` with the border repeated.
GRAINLAYER_INLINE const float* part_of(const GrainlayerFuse& job, const float* picture, int64_t y, int64_t x, float* held, int64_t* pitch) {
    *pitch = job.width * 3;
    if (y >= 0 && x >= 0 && y + kTall <= job.height && x + kWindow + kTaps - 1 <= job.width) return picture + y * *pitch + x * 3;
    for (int64_t r = 0; r < kTall; ++r) {
        const float* row = picture + std::clamp<int64_t>(y + r, 0, job.height - 1) * *pitch;
        for (int64_t k = 0; k < kWindow + kTaps - 1; ++k) {
            const float* from = row + std::clamp<int64_t>(x + k, 0, job.width - 1) * 3;
            for (int64_t c = 0; c < 3; ++c) held[r * kWide + k * 3 + c] = from[c];
        }
    }
    *pitch = kWide;
    return held;
}

// Half a window, (8, 16, 3), of a picture at (y, x) moved by quarters of samples.
GRAINLAYER_INLINE void moved(const GrainlayerFuse& job, const float* picture, int64_t y, int64_t x, Place move, float* GRAINLAYER_RESTRICT out) {
    const float floor_y = std::floor(move.y), floor_x = std::floor(move.x);
    const float* across = kLanczos[static_cast<int64_t>(4 * (move.x - floor_x)) & 3];
    const float* down = kLanczos[static_cast<int64_t>(4 * (move.y - floor_y)) & 3];
    float held[kTall * kWide], rows[kTall][kRow];
    int64_t pitch;
    const int64_t top = y + static_cast<int64_t>(floor_y) - kFirst, left = x + static_cast<int64_t>(floor_x) - kFirst;
    const float* from = part_of(job, picture, top, left, held, &pitch);
    for (int64_t r = 0; r < kTall; ++r, from += pitch)
        for (int64_t k = 0; k < kRow; ++k) {
            const float left_half = across[0] * from[k] + across[1] * from[k + 3] + across[2] * from[k + 6];
            rows[r][k] = left_half + (across[3] * from[k + 9] + across[4] * from[k + 12] + across[5] * from[k + 15]);
        }
    for (int64_t r = 0; r < kBlock; ++r)
        for (int64_t k = 0; k < kRow; ++k) {
            const float upper = down[0] * rows[r][k] + down[1] * rows[r + 1][k] + down[2] * rows[r + 2][k];
            out[r * kRow + k] = upper + (down[3] * rows[r + 3][k] + down[4] * rows[r + 4][k] + down[5] * rows[r + 5][k]);
        }
}

// Add what block (row, column) says of the 8 rows from y to the strip's sums; `ramp` are the window's weights along x and y.
GRAINLAYER_INLINE void add_block(const GrainlayerFuse& job, int64_t row, int64_t column, int64_t y, const float* ramp_y, const float* ramp_x,
                                 float* GRAINLAYER_RESTRICT sums, float* GRAINLAYER_RESTRICT mass, int64_t strip) {
    const int64_t rows = (job.height + kBlock - 1) / kBlock, columns = (job.width + kBlock - 1) / kBlock;
    const int64_t x = column * kBlock - kBefore;
    float total[kBlock * kRow], part[kBlock * kRow], held[kTall * kWide];
    float weight = 1;
    int64_t pitch;
    const float* own = part_of(job, job.here, y, x, held, &pitch);
    for (int64_t r = 0; r < kBlock; ++r)
        for (int64_t k = 0; k < kRow; ++k) total[r * kRow + k] = own[r * pitch + k];
    for (int32_t n = 0; n < job.count; ++n) {
        const int64_t place = (n * rows + row) * columns + column;
        const float w = job.weight[place];
        if (w <= 0) continue;
        moved(job, static_cast<const float*>(job.there[n]), y, x, {job.motion[2 * place], job.motion[2 * place + 1]}, part);
        for (int64_t k = 0; k < kBlock * kRow; ++k) total[k] += w * part[k];
        weight += w;
    }
    for (int64_t r = 0; r < kBlock; ++r) {
        const float share = ramp_y[r] / weight;
        float* sum = sums + (r * strip + x + kBefore) * 3;
        float* seen = mass + r * strip + x + kBefore;
        for (int64_t k = 0; k < kRow; ++k) sum[k] += share * ramp_x[k] * total[r * kRow + k];
        for (int64_t k = 0; k < kWindow; ++k) seen[k] += ramp_y[r] * ramp_x[3 * k];
    }
}

// A block of a plane moved by the nearest quarter of a sample, written to `out`.
template <int64_t side>
GRAINLAYER_INLINE void aligned(const GrainlayerAlign& job, int64_t row, int64_t column, float* GRAINLAYER_RESTRICT out) {
    constexpr int64_t tall = side + kTaps - 1;
    const float* at = job.motion + 2 * (row * job.columns + column);
    const int64_t qy = static_cast<int64_t>(std::floor(4 * at[0] / job.times + 0.5f)), qx = static_cast<int64_t>(std::floor(4 * at[1] / job.times + 0.5f));
    const float *across = kLanczos[qx & 3], *down = kLanczos[qy & 3];
    const int64_t y = row * side + (qy >> 2) - kFirst, x = column * side + (qx >> 2) - kFirst;
    float held[tall * tall], rows[tall * side];
    const float* from = job.there + y * job.width + x;
    int64_t pitch = job.width;
    if (y < 0 || x < 0 || y + tall > job.height || x + tall > job.width) {
        for (int64_t r = 0; r < tall; ++r)
            for (int64_t k = 0; k < tall; ++k)
                held[r * tall + k] =
                    job.there[std::clamp<int64_t>(y + r, 0, job.height - 1) * job.width + std::clamp<int64_t>(x + k, 0, job.width - 1)];
        from = held;
        pitch = tall;
    }
    for (int64_t r = 0; r < tall; ++r, from += pitch)
        for (int64_t k = 0; k < side; ++k) {
            const float left_half = across[0] * from[k] + across[1] * from[k + 1] + across[2] * from[k + 2];
            rows[r * side + k] = left_half + (across[3] * from[k + 3] + across[4] * from[k + 4] + across[5] * from[k + 5]);
        }
    const int64_t line = (job.right - job.left) * side * job.step;
    for (int64_t r = 0; r < side; ++r, out += line)
        for (int64_t k = 0; k < side; ++k) {
            const float* part = rows + r * side + k;
            const float upper = down[0] * part[0] + down[1] * part[side] + down[2] * part[2 * side];
            out[k * job.step] = upper + (down[3] * part[3 * side] + down[4] * part[4 * side] + down[5] * part[5 * side]);
        }
}

template <int64_t side> GRAINLAYER_INLINE void align_rows(const GrainlayerAlign& job, int64_t first, int64_t end) {
    const int64_t line = (job.right - job.left) * side * job.step;
    for (int64_t row = first; row < end; ++row)
        for (int64_t column = job.left; column < job.right; ++column)
            aligned<side>(job, row, column, job.out + (row - job.top) * side * line + (column - job.left) * side * job.step);
}

} // namespace

// Bring the block rows first..end of a plane where the motion says that they lie.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_align(const GrainlayerAlign* job, int64_t first, int64_t end) {
    if (job->block == 8)
        align_rows<8>(*job, first, end);
    else
        align_rows<4>(*job, first, end);
}

// Search the block rows first..end.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_motion(const GrainlayerMotion* job, int64_t first, int64_t end) {
    const int64_t columns = (job->width + kBlock - 1) / kBlock;
    for (int64_t row = first; row < end; ++row)
        for (int64_t column = 0; column < columns; ++column) search_block(*job, row, column, columns);
}

// Measure the block rows first..end along the motion given.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_apart(const GrainlayerMotion* job, int64_t first, int64_t end) {
    const int64_t columns = (job->width + kBlock - 1) / kBlock;
    for (int64_t place = first * columns; place < end * columns; ++place) {
        const int64_t y = place / columns * kBlock - kBefore, x = place % columns * kBlock - kBefore;
        const Place move{job->motion[2 * place], job->motion[2 * place + 1]};
        job->apart[place] = difference<true>(*job, y, x, move) / static_cast<float>(kWindow * kWindow);
    }
}

// Fuse the strips first..end of 8 rows; strip n holds rows 8 n - 4 to 8 n + 3. `work` holds 8 * 4 * (8 columns + 8) floats a call.
extern "C" GRAINLAYER_EXPORT GRAINLAYER_CLONES void grainlayer_fuse(const GrainlayerFuse* job, int64_t first, int64_t end, float* work) {
    const int64_t rows = (job->height + kBlock - 1) / kBlock, columns = (job->width + kBlock - 1) / kBlock;
    const int64_t strip = columns * kBlock + kBlock;
    float ramp[kWindow], ramp_x[kRow];
    for (int64_t k = 0; k < kWindow; ++k) ramp[k] = (static_cast<float>(k < kBlock ? k : kWindow - 1 - k) + 0.5f) / static_cast<float>(kBlock);
    for (int64_t k = 0; k < kRow; ++k) ramp_x[k] = ramp[k / 3];
    float *sums = work, *mass = work + kBlock * strip * 3;
    for (int64_t n = first; n < end; ++n) {
        std::fill(work, work + kBlock * strip * 4, 0.0f);
        const int64_t y = n * kBlock - kBefore;
        for (int64_t side = 0; side < 2; ++side) {
            const int64_t row = n - 1 + side;
            if (row < 0 || row >= rows) continue;
            for (int64_t column = 0; column < columns; ++column)
                add_block(*job, row, column, y, ramp + (side == 0 ? kBlock : 0), ramp_x, sums, mass, strip);
        }
        for (int64_t r = std::max<int64_t>(0, -y); r < kBlock && y + r < job->height; ++r)
            for (int64_t x = 0; x < job->width; ++x)
                for (int64_t c = 0; c < 3; ++c)
                    job->out[((y + r) * job->width + x) * 3 + c] = sums[(r * strip + x + kBefore) * 3 + c] / mass[r * strip + x + kBefore];
    }
}
