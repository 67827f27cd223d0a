// Sums of squares, in the contract's order.
#pragma once

#include <math.h>
#include <stddef.h>

#include <utility>

#include "engine/independent.hpp"
#include "engine/kernel_table.hpp"
#include "rules/math.hpp"

namespace gradstep {
namespace {

// Lane j adds the squares of elements j, j+16, j+32, … in order; then the upper half of the lanes
// is added to the lower half until one is left. The reference does the same.
constexpr size_t norm_lanes = 16;

inline double sum_lanes(double (&lane)[norm_lanes]) {
  for (size_t half = norm_lanes / 2; half > 0; half /= 2)
    for (size_t j = 0; j < half; ++j) lane[j] += lane[j + half];
  return lane[0];
}

template <class T>
inline double sum_squares(const T* __restrict x, size_t count) {
  double lane[norm_lanes] = {};
  size_t i = 0;
  for (; i + norm_lanes <= count; i += norm_lanes)
    for (size_t j = 0; j < norm_lanes; ++j) lane[j] += squared(x[i + j]);
  for (size_t j = 0; i + j < count; ++j) lane[j] += squared(x[i + j]);
  return sum_lanes(lane);
}

template <class T>
void grad_squares(const void*, const Span& span, size_t begin, size_t end, double* sums) {
  *sums = sum_squares(static_cast<const T*>(span.grad.data) + begin, end - begin);
}

template <class T>
void param_squares(const void*, const Span& span, size_t begin, size_t end, double* sums) {
  *sums = sum_squares(static_cast<const T*>(span.param.data) + begin, end - begin);
}

template <class T, size_t... Row>
inline void add_rows(const T* __restrict x, size_t stride, size_t units, double* __restrict sums,
                     std::index_sequence<Row...>) {
  GRADSTEP_INDEPENDENT
  for (size_t u = 0; u < units; ++u) {
    double sum = sums[u];
    ((sum += squared(x[Row * stride + u])), ...);
    sums[u] = sum;
  }
}

// Eight rows at a time, so that sums are read and written once for all of them.
template <class T>
void sum_columns(const void* values, size_t rows, size_t stride, size_t units, double* sums) {
  constexpr size_t together = 8;
  const T* x = static_cast<const T*>(values);
  size_t row = 0;
  for (; row + together <= rows; row += together)
    add_rows(x + row * stride, stride, units, sums, std::make_index_sequence<together>{});
  for (; row < rows; ++row)
    add_rows(x + row * stride, stride, units, sums, std::make_index_sequence<1>{});
}

// Adds the squares of a block of a row to the sums of the columns; returns their own sum.
template <class T>
inline double add_block(const T* __restrict x, size_t columns, double* __restrict of_columns) {
  double lane[norm_lanes] = {};
  const auto add = [&](size_t i, size_t j) {
    const double square = squared(x[i + j]);
    lane[j] += square;
    of_columns[i + j] += square;
  };
  size_t i = 0;
  for (; i + norm_lanes <= columns; i += norm_lanes)
    for (size_t j = 0; j < norm_lanes; ++j) add(i, j);
  for (size_t j = 0; i + j < columns; ++j) add(i, j);
  return sum_lanes(lane);
}

// One row after another, as memory is read fastest.
template <class T>
void sum_tile(const void* values, size_t rows, size_t stride, size_t columns, double* of_columns,
              double* of_blocks) {
  const T* x = static_cast<const T*>(values);
  for (size_t row = 0; row < rows; ++row, x += stride)
    for (size_t i = 0; i < columns; i += norm_block)
      *of_blocks++ =
          add_block(x + i, columns - i < norm_block ? columns - i : norm_block, of_columns + i);
}

}  // namespace
}  // namespace gradstep
