#pragma once
// Counts calls of the C allocator by the whole process: linking this target puts counters in front of glibc's own
// functions. Swift's objects and buffers come from malloc and posix_memalign, so they are counted too.
#include <stdint.h>

/// Blocks taken since the program began: malloc, calloc, realloc, and the aligned ones. Freeing is not counted.
uint64_t vigil_allocation_count(void);
