// The sum of squares of a gradient, in the contract's order.
#pragma once

#include <stddef.h>

namespace gradstep {
namespace {

// Lane j adds the squares of elements j, j+16, j+32, … in order; then the upper half of the lanes
// is added to the lower half until one is left. The reference does the same.
constexpr size_t norm_lanes = 16;

template <class T>
double sum_squares(const void* values, size_t count) {
  const T* __restrict x = static_cast<const T*>(values);
  double lane[norm_lanes] = {};
  size_t i = 0;
  for (; i + norm_lanes <= count; i += norm_lanes) {
    for (size_t j = 0; j < norm_lanes; ++j) {
      const double v = static_cast<double>(x[i + j]);
      lane[j] += v * v;
    }
  }
  for (size_t j = 0; i + j < count; ++j) {
    const double v = static_cast<double>(x[i + j]);
    lane[j] += v * v;
  }
  for (size_t half = norm_lanes / 2; half > 0; half /= 2)
    for (size_t j = 0; j < half; ++j) lane[j] += lane[j + half];
  return lane[0];
}

}  // namespace
}  // namespace gradstep
