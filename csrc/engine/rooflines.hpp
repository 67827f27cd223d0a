// What bounds an update: the memory traffic without the arithmetic, and the roots and quotients
// without the memory.
#pragma once

#include <stddef.h>

#include <utility>

#include "engine/independent.hpp"
#include "rules/math.hpp"

namespace gradstep {
namespace {

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

template <class T, unsigned roots, unsigned quotients>
void divide(const void* of, const void* by, void* to, size_t count) {
  const T* __restrict x = static_cast<const T*>(of);
  const T* __restrict d = static_cast<const T*>(by);
  T* __restrict y = static_cast<T*>(to);
  for (size_t i = 0; i < count; ++i) {
    T value = d[i];
    for (unsigned r = 0; r < roots; ++r) value = square_root(value);
    for (unsigned q = 0; q < quotients; ++q) value = x[i] / value;
    y[i] = value;
  }
}

}  // namespace
}  // namespace gradstep
