// What an instruction set offers for vectors: arrays of many tensors taken as one. See vectors.hpp.
#pragma once

#include <stddef.h>

namespace gradstep {

// Of runs of `count` elements that begin where a block of norm_block elements does. Scalars are
// rounded to the elements' type once. Sums are of each block, in float64 and in the contract's
// order; where a kernel gives several, a block's stand beside each other.
struct VectorKernels {
  // to = scale·x, and of it the largest absolute value but for NaN, the sum of absolute values, and
  // the sum of squares. `to` may be x.
  void (*measured)(const void* x, double scale, void* to, size_t count, double* sums);
  // to = x + scale·y; `to` may be x.
  void (*moved)(const void* x, double scale, const void* y, void* to, size_t count);
  // y = new − old and s = scale·d, and of them y·s and y·y.
  void (*differences)(const void* now, const void* before, double scale, const void* d, void* s,
                      void* y, size_t count, double* sums);
  // to = scale·x, and to·with; `to` may be x.
  void (*scaled)(const void* x, double scale, void* to, const void* with, size_t count,
                 double* sums);
  // to += scale·x, and to·with.
  void (*added)(const void* x, double scale, void* to, const void* with, size_t count,
                double* sums);
  // x·y
  void (*dot)(const void* x, const void* y, size_t count, double* sums);
};
constexpr size_t measured_sums = 3, difference_sums = 2;

}  // namespace gradstep
