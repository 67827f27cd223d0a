// The loops of vectors: what is written is written element by element, what is summed is summed as
// in reductions.hpp.
#pragma once

#include <stddef.h>

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

template <class T>
void differences(const void* now, const void* before, double factor, const void* direction,
                 void* step, void* change, size_t count, double* sums) {
  const T* __restrict g = static_cast<const T*>(now);
  const T* __restrict old = static_cast<const T*>(before);
  const T* __restrict d = static_cast<const T*>(direction);
  T* __restrict s = static_cast<T*>(step);
  T* __restrict y = static_cast<T*>(change);
  const T scale = static_cast<T>(factor);
  Lanes products, squares;
  by_blocks(
      count,
      [&](size_t i, auto width) {
        T changes[norm_lanes], steps[norm_lanes];
        for (size_t j = 0; j < width; ++j) changes[j] = g[i + j] - old[i + j];
        for (size_t j = 0; j < width; ++j) steps[j] = scale * d[i + j];
        for (size_t j = 0; j < width; ++j) y[i + j] = changes[j];
        for (size_t j = 0; j < width; ++j) s[i + j] = steps[j];
        for (size_t j = 0; j < width; ++j) {
          const double v = static_cast<double>(changes[j]);
          products.lane[j] += v * static_cast<double>(steps[j]);
          squares.lane[j] += v * v;
        }
      },
      [&] {
        *sums++ = products.sum();
        *sums++ = squares.sum();
        products = squares = Lanes{};
      });
}

template <class T>
void scaled(const void* from, double factor, void* into, const void* with, size_t count,
            double* sums) {
  const T *x = static_cast<const T*>(from), *z = static_cast<const T*>(with);
  T* to = static_cast<T*>(into);
  const T scale = static_cast<T>(factor);
  Lanes products;
  by_blocks(
      count,
      [&](size_t i, auto width) {
        T values[norm_lanes];
        for (size_t j = 0; j < width; ++j) values[j] = scale * x[i + j];
        for (size_t j = 0; j < width; ++j)
          products.lane[j] += static_cast<double>(values[j]) * static_cast<double>(z[i + j]);
        for (size_t j = 0; j < width; ++j) to[i + j] = values[j];
      },
      [&] {
        *sums++ = products.sum();
        products = Lanes{};
      });
}

template <class T>
void added(const void* from, double factor, void* into, const void* with, size_t count,
           double* sums) {
  const T* __restrict x = static_cast<const T*>(from), * __restrict z = static_cast<const T*>(with);
  T* __restrict to = static_cast<T*>(into);
  const T scale = static_cast<T>(factor);
  Lanes products;
  by_blocks(
      count,
      [&](size_t i, auto width) {
        T values[norm_lanes];
        for (size_t j = 0; j < width; ++j) values[j] = to[i + j] + scale * x[i + j];
        for (size_t j = 0; j < width; ++j) to[i + j] = values[j];
        for (size_t j = 0; j < width; ++j)
          products.lane[j] += static_cast<double>(values[j]) * static_cast<double>(z[i + j]);
      },
      [&] {
        *sums++ = products.sum();
        products = Lanes{};
      });
}

template <class T>
void dot(const void* one, const void* other, size_t count, double* sums) {
  const T *x = static_cast<const T*>(one), *y = static_cast<const T*>(other);
  Lanes products;
  by_blocks(
      count,
      [&](size_t i, auto width) {
        for (size_t j = 0; j < width; ++j)
          products.lane[j] += static_cast<double>(x[i + j]) * static_cast<double>(y[i + j]);
      },
      [&] {
        *sums++ = products.sum();
        products = Lanes{};
      });
}

template <class T>
constexpr VectorKernels vector_kernels() {
  return {measured<T>, moved<T>, differences<T>, scaled<T>, added<T>, dot<T>};
}

}  // namespace
}  // namespace gradstep
