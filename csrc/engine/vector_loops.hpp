// The loops of vectors: what is written is written element by element, what is summed is summed as
// in reductions.hpp.
//
// Loops over several vectors read little of each at a time, too little for the CPU to see where it
// goes on: they ask for memory ahead, and for the second cache alone: the first one has few places
// to wait in.
#pragma once

#include <stddef.h>

#include <utility>

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

inline void ask_for(const void* memory, size_t bytes) {
  constexpr size_t cache_line = 64;
  for (size_t b = 0; b < bytes; b += cache_line)
    GRADSTEP_PREFETCH_SECOND(static_cast<const char*>(memory) + b);
}

// A tile stays in registers while all vectors of a group are added to it.
constexpr size_t tile = 32, group = 16, ahead_bytes = 1024;

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
    ask_for(x + i + ahead, sizeof(values));
    if (to != x) ask_for(to + i + ahead, sizeof(values));
    for (size_t j = 0; j < tile; ++j) values[j] = scale * x[i + j];
    for (size_t k = 0; k < vector_count; ++k) {
      const T* __restrict part = reinterpret_cast<const T*>(vectors[k] + offset) + i;
      const T factor = rounded[k];
      ask_for(part + ahead, sizeof(values));
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

// Asks for as much of what comes `later`.
template <bool both, class T>
GRADSTEP_OUT_OF_LINE void products_of(const T* x, const T* later, const double* one,
                                      const double* other, size_t count, double* sums) {
  Lanes with_one, with_other;
  const auto add = [&](size_t i, auto rows) {
    add_products<both>(x + i, one + i, other + i, with_one, with_other, rows);
  };
  size_t i = 0;
  for (; i + step <= count; i += step) {
    ask_for(later + i, step * sizeof(T));
    add(i, std::make_index_sequence<rows_together>{});
  }
  for (; i + norm_lanes <= count; i += norm_lanes) add(i, std::make_index_sequence<1>{});
  for (size_t j = 0; i + j < count; ++j) {
    const double v = static_cast<double>(x[i + j]);
    with_one.lane[j] += v * one[i + j];
    if constexpr (both) with_other.lane[j] += v * other[i + j];
  }
  sums[0] = with_one.sum();
  if constexpr (both) sums[1] = with_other.sum();
}

// One vector's whole block after another's. What is asked for is of the vector a group later: of
// the next block, where this one has no more.
template <class T>
void products(const Several& xs, const void* one, const void* other, size_t count, double* sums) {
  alignas(64) double room[2][norm_block];
  const double* first = widened(static_cast<const T*>(one), count, room[0]);
  const double* second = other ? widened(static_cast<const T*>(other), count, room[1]) : first;
  const auto kernel = other ? products_of<true, T> : products_of<false, T>;
  const auto part = [&](size_t k) { return reinterpret_cast<const T*>(xs.vectors[k] + xs.offset); };
  const size_t ahead = xs.count < group ? xs.count : group;
  for (size_t k = 0; k < xs.count; ++k) {
    const size_t then = k + ahead;
    const T* later = then < xs.count ? part(then) : part(then - xs.count) + norm_block;
    kernel(part(k), later, first, second, count, sums + k * (other ? 2 : 1));
  }
}

// Takes so many rows of norm_lanes elements into what each lane has of its own.
template <class T, size_t... Row>
inline void slope_rows(const T* __restrict d, const T* __restrict g, T* __restrict most,
                       Lanes& __restrict products, std::index_sequence<Row...>) {
  GRADSTEP_INDEPENDENT
  for (size_t j = 0; j < norm_lanes; ++j) {
    T largest = most[j];
    double sum = products.lane[j];
    const auto take = [&](T along, T slope) {
      const T size = absolute(along);
      largest = size > largest ? size : largest;
      sum += static_cast<double>(along) * static_cast<double>(slope);
    };
    (take(d[Row * norm_lanes + j], g[Row * norm_lanes + j]), ...);
    most[j] = largest;
    products.lane[j] = sum;
  }
}

template <class T>
void slope(const void* along, const void* gradient, size_t count, double* sums) {
  const T *d = static_cast<const T*>(along), *g = static_cast<const T*>(gradient);
  T most[norm_lanes] = {};
  Lanes products;
  size_t i = 0;
  for (; i + step <= count; i += step)
    slope_rows(d + i, g + i, most, products, std::make_index_sequence<rows_together>{});
  for (; i + norm_lanes <= count; i += norm_lanes)
    slope_rows(d + i, g + i, most, products, std::make_index_sequence<1>{});
  for (size_t j = 0; i + j < count; ++j) {
    const T size = absolute(d[i + j]);
    most[j] = size > most[j] ? size : most[j];
    products.lane[j] += static_cast<double>(d[i + j]) * static_cast<double>(g[i + j]);
  }
  T largest = 0;
  for (const T size : most) largest = size > largest ? size : largest;
  sums[0] = static_cast<double>(largest);
  sums[1] = products.sum();
}

template <class T>
constexpr VectorKernels vector_kernels() {
  return {measured<T>, combined<T>, products<T>, slope<T>};
}

}  // namespace
}  // namespace gradstep
