// Elements as they are stored, read into a compute type. Integer operations and exact ones only, so
// that every instruction set, and one that flushes denormals, reads the same bits.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/independent.hpp"

namespace gradstep {
namespace {

inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// IEEE 754 binary16: the exponent is moved to where binary32 has it. That of infinities and NaNs is
// moved twice. A denormal becomes 2^-14·(1 + x), of which 2^-14 is subtracted.
struct Float16 {
  uint16_t bits;

  template <class T>
  explicit operator T() const {
    constexpr uint32_t exponent = 0x1fu << 23, moved = (127u - 15u) << 23, one = 1u << 23;
    const uint32_t sign = (bits & 0x8000u) << 16;
    const uint32_t magnitude = (bits & 0x7fffu) << 13;
    const uint32_t special = (magnitude & exponent) == exponent ? moved : 0;
    const uint32_t normal = magnitude + moved + special;
    const uint32_t denormal = bits_of(float_of(magnitude + moved + one) - float_of(moved + one));
    return static_cast<T>(float_of(((magnitude & exponent) == 0 ? denormal : normal) | sign));
  }
};

// The upper half of a binary32.
struct Bfloat16 {
  uint16_t bits;

  template <class T>
  explicit operator T() const {
    return static_cast<T>(float_of(static_cast<uint32_t>(bits) << 16));
  }
};

// The element at an address that need not be aligned.
template <class Stored, class T>
inline T value_at(const char* at) {
  Stored stored;
  memcpy(&stored, at, sizeof stored);
  return static_cast<T>(stored);
}

template <class Stored, class T>
void load_values(const void* from, ptrdiff_t stride, size_t count, void* to) {
  const char* at = static_cast<const char*>(from);
  T* __restrict values = static_cast<T*>(to);
  if (stride == sizeof(Stored)) {
    GRADSTEP_INDEPENDENT
    for (size_t i = 0; i < count; ++i) values[i] = value_at<Stored, T>(at + i * sizeof(Stored));
  } else {
    for (size_t i = 0; i < count; ++i)
      values[i] = value_at<Stored, T>(at + static_cast<ptrdiff_t>(i) * stride);
  }
}

// Squares of elements at a time: cache lines are read whole, and written whole.
template <class Stored, class T>
void load_turned(const void* from, ptrdiff_t along, ptrdiff_t across, size_t rows, size_t columns,
                 void* to, size_t pitch) {
  constexpr size_t side = 16;
  const char* at = static_cast<const char*>(from);
  T* values = static_cast<T*>(to);
  for (size_t column = 0; column < columns; column += side) {
    const size_t width = columns - column < side ? columns - column : side;
    for (size_t row = 0; row < rows; row += side) {
      const size_t height = rows - row < side ? rows - row : side;
      T square[side][side];
      const char* corner = at + static_cast<ptrdiff_t>(row) * across;
      for (size_t c = 0; c < width; ++c) {
        const char* from = corner + static_cast<ptrdiff_t>(column + c) * along;
        const char* later = from + static_cast<ptrdiff_t>(side) * along;
        GRADSTEP_PREFETCH(later);
        GRADSTEP_PREFETCH(later + static_cast<ptrdiff_t>(side - 1) * across);
        for (size_t r = 0; r < height; ++r)
          square[r][c] = value_at<Stored, T>(from + static_cast<ptrdiff_t>(r) * across);
      }
      for (size_t r = 0; r < height; ++r)
        memcpy(values + (row + r) * pitch + column, square[r], width * sizeof(T));
    }
  }
}

}  // namespace
}  // namespace gradstep
