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

// norm_lanes as a constant.
struct AllLanes {
  constexpr operator size_t() const { return norm_lanes; }
};

// Calls rows(begin, width) for every norm_lanes elements of a block and for those that are left,
// width being a constant where it can; then end(), block by block.
template <class Rows, class End>
inline void by_blocks(size_t count, Rows rows, End end) {
  for (size_t block = 0; block < count; block += norm_block) {
    const size_t last = count - block < norm_block ? count : block + norm_block;
    size_t i = block;
    for (; i + norm_lanes <= last; i += norm_lanes) rows(i, AllLanes{});
    if (i < last) rows(i, last - i);
    end();
  }
}

template <class T>
void measured(const void* from, double factor, void* into, size_t count, double* sums) {
  const T* x = static_cast<const T*>(from);
  T* to = static_cast<T*>(into);
  const T scale = static_cast<T>(factor);
  Lanes most, magnitudes, squares;
  by_blocks(
      count,
      [&](size_t i, auto width) {
        T values[norm_lanes];
        for (size_t j = 0; j < width; ++j) values[j] = scale * x[i + j];
        for (size_t j = 0; j < width; ++j) to[i + j] = values[j];
        for (size_t j = 0; j < width; ++j) {
          const double v = static_cast<double>(values[j]), size = absolute(v);
          most.lane[j] = size > most.lane[j] ? size : most.lane[j];
          magnitudes.lane[j] += size;
          squares.lane[j] += v * v;
        }
      },
      [&] {
        *sums++ = most.largest();
        *sums++ = magnitudes.sum();
        *sums++ = squares.sum();
        most = magnitudes = squares = Lanes{};
      });
}

template <class T>
void moved(const void* from, double factor, const void* along, void* into, size_t count) {
  const T *x = static_cast<const T*>(from), *y = static_cast<const T*>(along);
  T* to = static_cast<T*>(into);
  const T scale = static_cast<T>(factor);
  GRADSTEP_INDEPENDENT
  for (size_t i = 0; i < count; ++i) to[i] = x[i] + scale * y[i];
}

// A tile stays in registers while all vectors of a group are added to it. More of them at a time
// would push what is asked for out of the first cache before its use.
constexpr size_t tile = 32, group = 16, ahead_bytes = 512;

template <class T>
GRADSTEP_OUT_OF_LINE void combined_group(const T* x, T scale, const char* const* vectors,
                                         size_t offset, const double* factors, size_t vector_count,
                                         T after, T* to, size_t count) {
  T rounded[group];
  for (size_t k = 0; k < vector_count; ++k) rounded[k] = static_cast<T>(factors[k]);
  size_t i = 0;
  for (; i + tile <= count; i += tile) {
    T values[tile];
    for (size_t j = 0; j < tile; ++j) values[j] = scale * x[i + j];
    for (size_t k = 0; k < vector_count; ++k) {
      const T* __restrict part = reinterpret_cast<const T*>(vectors[k] + offset) + i;
      const T factor = rounded[k];
      fetch(part, ahead_bytes / sizeof(T), tile, sizeof(T));
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

// `next` is what is read after x.
template <bool both, class T>
inline double* add_block(const T* x, const double* one, const double* other, size_t count,
                         const T* next, double* sums) {
  constexpr size_t together = 4, step = together * norm_lanes;
  Lanes with_one, with_other;
  size_t i = 0;
  for (; i + step <= count; i += step) {
    fetch(next, i, step, sizeof(T));
    add_products<both>(x + i, one + i, other + i, with_one, with_other,
                       std::make_index_sequence<together>{});
  }
  for (; i + norm_lanes <= count; i += norm_lanes)
    add_products<both>(x + i, one + i, other + i, with_one, with_other,
                       std::make_index_sequence<1>{});
  for (size_t j = 0; i + j < count; ++j) {
    with_one.lane[j] += static_cast<double>(x[i + j]) * one[i + j];
    if constexpr (both) with_other.lane[j] += static_cast<double>(x[i + j]) * other[i + j];
  }
  *sums++ = with_one.sum();
  if constexpr (both) *sums++ = with_other.sum();
  return sums;
}

template <class T>
void products(const Several& xs, const void* one, const void* other, size_t count, double* sums) {
  alignas(64) double room[2][norm_block];
  const double* first = widened(static_cast<const T*>(one), count, room[0]);
  const double* second = other ? widened(static_cast<const T*>(other), count, room[1]) : first;
  for (size_t k = 0; k < xs.count; ++k) {
    const auto part = [&](size_t of) {
      return reinterpret_cast<const T*>(xs.vectors[of] + xs.offset);
    };
    const T* next = k + 1 < xs.count ? part(k + 1) : part(0) + count;
    sums = other ? add_block<true>(part(k), first, second, count, next, sums)
                 : add_block<false>(part(k), first, second, count, next, sums);
  }
}

template <class T>
constexpr VectorKernels vector_kernels() {
  return {measured<T>, moved<T>, combined<T>, products<T>};
}

}  // namespace
}  // namespace gradstep
