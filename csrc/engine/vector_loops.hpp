// The loops of vectors: what is written is written element by element, what is summed is summed as
// in reductions.hpp.
//
// Loops over several vectors read little of each at a time, too little for the CPU to see where it
// goes on: they ask for memory ahead.
#pragma once

#include <stddef.h>

#include <utility>

#include "engine/fetch.hpp"
#include "engine/independent.hpp"
#include "engine/kernel_table.hpp"
#include "engine/reductions.hpp"
#include "rules/math.hpp"

namespace gradstep {
namespace {

// The sums of one block, lane by lane.
struct Lanes {
  double lane[norm_lanes] = {};

  double sum() { return sum_lanes(lane); }
  double largest() const {
    double most = 0;
    for (size_t j = 0; j < norm_lanes; ++j) most = lane[j] > most ? lane[j] : most;
    return most;
  }
};

// Takes so many rows of norm_lanes elements into what each lane has of its own.
template <class T, size_t... Row>
inline void measure_rows(const T* __restrict x, Lanes& __restrict most,
                         Lanes& __restrict magnitudes, Lanes& __restrict squares,
                         std::index_sequence<Row...>) {
  GRADSTEP_INDEPENDENT
  for (size_t j = 0; j < norm_lanes; ++j) {
    double largest = most.lane[j], sum = magnitudes.lane[j], square = squares.lane[j];
    const auto take = [&](double v) {
      const double size = absolute(v);
      largest = size > largest ? size : largest;
      sum += size;
      square += v * v;
    };
    (take(static_cast<double>(x[Row * norm_lanes + j])), ...);
    most.lane[j] = largest;
    magnitudes.lane[j] = sum;
    squares.lane[j] = square;
  }
}

constexpr size_t rows_together = 4, step = rows_together * norm_lanes;

template <class T>
void measured(const void* from, double factor, void* into, size_t all, double* sums) {
  const T scale = static_cast<T>(factor);
  for (size_t begin = 0; begin < all; begin += norm_block) {
    const T* x = static_cast<const T*>(from) + begin;
    T* to = static_cast<T*>(into) + begin;
    const size_t count = all - begin < norm_block ? all - begin : norm_block;
    GRADSTEP_INDEPENDENT
    for (size_t i = 0; i < count; ++i) to[i] = scale * x[i];
    Lanes most, magnitudes, squares;
    size_t i = 0;
    for (; i + step <= count; i += step)
      measure_rows(to + i, most, magnitudes, squares, std::make_index_sequence<rows_together>{});
    for (; i + norm_lanes <= count; i += norm_lanes)
      measure_rows(to + i, most, magnitudes, squares, std::make_index_sequence<1>{});
    for (size_t j = 0; i + j < count; ++j) {
      const double v = static_cast<double>(to[i + j]), size = absolute(v);
      most.lane[j] = size > most.lane[j] ? size : most.lane[j];
      magnitudes.lane[j] += size;
      squares.lane[j] += v * v;
    }
    *sums++ = most.largest();
    *sums++ = magnitudes.sum();
    *sums++ = squares.sum();
  }
}

// A tile stays in registers while all vectors of a group are added to it. More of them at a time
// would push what is asked for out of the first cache before its use. Products, which have more to
// do with an element, ask for the second cache alone: the first one has few places to wait in.
constexpr size_t tile = 32, group = 16, ahead_bytes = 512, second_bytes = 1024;

template <class T>
GRADSTEP_OUT_OF_LINE void combined_group(const T* x, T scale, const char* const* vectors,
                                         size_t offset, const double* factors, size_t vector_count,
                                         T after, T* to, size_t count) {
  constexpr size_t ahead = ahead_bytes / sizeof(T);
  T rounded[group];
  for (size_t k = 0; k < vector_count; ++k) rounded[k] = static_cast<T>(factors[k]);
  size_t i = 0;
  for (; i + tile <= count; i += tile) {
    T values[tile];
    fetch(x + i, ahead, tile, sizeof(T));
    if (to != x) fetch(to + i, ahead, tile, sizeof(T));
    for (size_t j = 0; j < tile; ++j) values[j] = scale * x[i + j];
    for (size_t k = 0; k < vector_count; ++k) {
      const T* __restrict part = reinterpret_cast<const T*>(vectors[k] + offset) + i;
      const T factor = rounded[k];
      fetch(part, ahead, tile, sizeof(T));
      for (size_t j = 0; j < tile; ++j) values[j] += factor * part[j];
    }
    for (size_t j = 0; j < tile; ++j) to[i + j] = after * values[j];
  }
  for (; i < count; ++i) {
    T value = scale * x[i];
    for (size_t k = 0; k < vector_count; ++k)
      value += rounded[k] * reinterpret_cast<const T*>(vectors[k] + offset)[i];
    to[i] = after * value;
  }
}

template <class T>
void combined(const void* from, double factor, const Several& xs, const double* factors,
              double after, void* into, size_t count) {
  const T* x = static_cast<const T*>(from);
  T* to = static_cast<T*>(into);
  T scale = static_cast<T>(factor);
  size_t done = 0;
  for (; xs.count - done > group; done += group) {
    combined_group(x, scale, xs.vectors + done, xs.offset, factors + done, group, T(1), to, count);
    x = to;
    scale = T(1);
  }
  combined_group(x, scale, xs.vectors + done, xs.offset, factors + done, xs.count - done,
                 static_cast<T>(after), to, count);
}

// A block in float64.
inline const double* widened(const double* x, size_t, double*) { return x; }
inline const double* widened(const float* x, size_t count, double* room) {
  for (size_t i = 0; i < count; ++i) room[i] = static_cast<double>(x[i]);
  return room;
}

// Adds the products of so many rows of norm_lanes elements to each lane.
template <bool both, class T, size_t... Row>
inline void add_products(const T* __restrict x, const double* __restrict one,
                         const double* __restrict other, Lanes& __restrict with_one,
                         Lanes& __restrict with_other, std::index_sequence<Row...>) {
  GRADSTEP_INDEPENDENT
  for (size_t j = 0; j < norm_lanes; ++j) {
    double sum = with_one.lane[j];
    ((sum += static_cast<double>(x[Row * norm_lanes + j]) * one[Row * norm_lanes + j]), ...);
    with_one.lane[j] = sum;
    if constexpr (both) {
      double beside = with_other.lane[j];
      ((beside += static_cast<double>(x[Row * norm_lanes + j]) * other[Row * norm_lanes + j]), ...);
      with_other.lane[j] = beside;
    }
  }
}

template <bool both, class T>
void products_group(const char* const* vectors, size_t offset, const double* one,
                    const double* other, size_t vector_count, size_t count, double* sums) {
  const auto part = [&](size_t k) { return reinterpret_cast<const T*>(vectors[k] + offset); };
  Lanes with_one[group], with_other[both ? group : 1];
  const auto add = [&](size_t k, size_t i, auto rows) {
    add_products<both>(part(k) + i, one + i, other + i, with_one[k], with_other[both ? k : 0],
                       rows);
  };
  size_t i = 0;
  for (; i + step <= count; i += step)
    for (size_t k = 0; k < vector_count; ++k) {
      const char* ahead = reinterpret_cast<const char*>(part(k) + i) + second_bytes;
      for (size_t b = 0; b < step * sizeof(T); b += 64) GRADSTEP_PREFETCH_SECOND(ahead + b);
      add(k, i, std::make_index_sequence<rows_together>{});
    }
  for (; i + norm_lanes <= count; i += norm_lanes)
    for (size_t k = 0; k < vector_count; ++k) add(k, i, std::make_index_sequence<1>{});
  for (size_t k = 0; k < vector_count; ++k) {
    for (size_t j = 0; i + j < count; ++j) {
      const double x = static_cast<double>(part(k)[i + j]);
      with_one[k].lane[j] += x * one[i + j];
      if constexpr (both) with_other[k].lane[j] += x * other[i + j];
    }
    *sums++ = with_one[k].sum();
    if constexpr (both) *sums++ = with_other[k].sum();
  }
}

template <class T>
void products(const Several& xs, const void* one, const void* other, size_t count, double* sums) {
  alignas(64) double room[2][norm_block];
  const double* first = widened(static_cast<const T*>(one), count, room[0]);
  const double* second = other ? widened(static_cast<const T*>(other), count, room[1]) : first;
  for (size_t done = 0; done < xs.count; done += group) {
    const size_t some = xs.count - done < group ? xs.count - done : group;
    const auto kernel = other ? products_group<true, T> : products_group<false, T>;
    kernel(xs.vectors + done, xs.offset, first, second, some, count, sums + done * (other ? 2 : 1));
  }
}

template <class T>
constexpr VectorKernels vector_kernels() {
  return {measured<T>, combined<T>, products<T>};
}

}  // namespace
}  // namespace gradstep
