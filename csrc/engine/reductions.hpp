// Loops that are not updates: the gradient's sum of squares, and the roofline's memory traffic.
#pragma once

#include <stddef.h>

#include <utility>

#include "engine/independent.hpp"

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

// All loads come before all stores: arrays often start at the same offset within their pages, and a
// load just behind a store to the same offset of another page waits for it.
template <class T, class... Written>
inline void stream_loop(size_t count, const T* __restrict read, Written* __restrict... written) {
  GRADSTEP_INDEPENDENT
  for (size_t i = 0; i < count; ++i) {
    const T x = read[i];
    [&](auto... value) { ((written[i] = value + x), ...); }(written[i]...);
  }
}

template <class T, size_t... K>
inline void stream_arrays(const void* read, void* const* written, size_t begin, size_t end,
                          std::index_sequence<K...>) {
  stream_loop<T>(end - begin, static_cast<const T*>(read) + begin,
                 (static_cast<T*>(written[K]) + begin)...);
}

template <class T, size_t arrays>
void stream(const void* read, void* const* written, size_t begin, size_t end) {
  stream_arrays<T>(read, written, begin, end, std::make_index_sequence<arrays>{});
}

}  // namespace
}  // namespace gradstep
