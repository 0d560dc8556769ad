// The library's own small functions. The kernels proper are in the files beside this one.
#include "abi.h"

// Number of the interface between this library and its Python callers; raised when any signature changes.
extern "C" GRAINLAYER_EXPORT int32_t grainlayer_interface(void) { return 1; }
