// What an instruction set offers for vectors: arrays of many tensors taken as one. See vectors.hpp.
#pragma once

#include <stddef.h>

namespace gradstep {

// The same part of several vectors: `offset` bytes behind the start of each.
struct Several {
  const char* const* vectors;
  size_t count, offset;
};

// Of `count` elements, from where a block of norm_block elements begins. Scalars are rounded to the
// elements' type once. Sums are of each block, in float64 and in the contract's order; where a
// kernel gives several, a block's stand beside each other.
struct VectorKernels {
  // to = scale·x, and of it the largest absolute value but for NaN, the sum of absolute values, and
  // the sum of squares. `to` may be x.
  void (*measured)(const void* x, double scale, void* to, size_t count, double* sums);
  // to = after·(scale·x + Σ factor·part), added in order; `to` may be x. Of any
  // number of elements.
  void (*combined)(const void* x, double scale, const Several& xs, const double* factors,
                   double after, void* to, size_t count);
  // Of each part its product with one vector, and with the other one where that is not null. Of one
  // block.
  void (*products)(const Several& xs, const void* one, const void* other, size_t count,
                   double* sums);
  // The largest absolute value of d but for NaN, and its product with g. Of one block.
  void (*slope)(const void* d, const void* g, size_t count, double* sums);
};
constexpr size_t measured_sums = 3, slope_sums = 2;

}  // namespace gradstep
