// What every kernel file shares: the export mark and the mark for one version a SIMD width.
//
// To add kernels: put a new .cpp file beside this one (the build takes every .cpp in this folder), include this header and
// write   extern "C" GRAINLAYER_EXPORT void grainlayer_name(...)   with plain C arguments. Load it from Python with
// grainlayer.native.kernel("grainlayer_name", ...types).
//
// Arithmetic rules, so that results are the same bits on every machine, SIMD width and thread count: elementwise loops over
// x, no sums across lanes, no fused multiply-add (the build says -ffp-contract=off), no libm beyond sqrt and floor.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(_WIN32)
#define GRAINLAYER_EXPORT __declspec(dllexport)
#else
#define GRAINLAYER_EXPORT __attribute__((visibility("default")))
#endif

// Functions marked GRAINLAYER_CLONES are compiled for several SIMD widths and chosen when the library is loaded. What they
// call must be inlined into them: mark it GRAINLAYER_INLINE.
#if defined(GRAINLAYER_ONE_WIDTH)
#define GRAINLAYER_CLONES // tests compare a build for one width with the shipped one
#elif defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && defined(__GNUC__)
#define GRAINLAYER_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define GRAINLAYER_CLONES
#endif

#if defined(_MSC_VER)
#define GRAINLAYER_INLINE static __forceinline
#define GRAINLAYER_RESTRICT __restrict
#else
#define GRAINLAYER_INLINE static inline __attribute__((always_inline))
#define GRAINLAYER_RESTRICT __restrict__
#endif

// Put before a loop whose iterations do not depend on each other through memory, so that it may be vectorised.
#if defined(__clang__)
#define GRAINLAYER_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define GRAINLAYER_IVDEP _Pragma("GCC ivdep")
#else
#define GRAINLAYER_IVDEP __pragma(loop(ivdep))
#endif
