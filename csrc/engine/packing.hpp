// Arrays that are stored in fewer bits than float32 has: read into it, and written back rounded.
// Integer operations and exact ones only, so that every instruction set gives the same bits.
//
//   Nearest                 rounded to nearest, a tie to even
//   Stochastic              up or down, by a hash of the element's number
//   Dithered                up or down, by a sequence that spreads evenly over the elements
//   Kahan                   what rounding took lies beside, in the same format
//   Split                   of bfloat16: the lower half of the float32 lies beside
//   Moments8, Squares8      8-bit floating-point numbers, relative to the largest of a block,
//                           which lies beside: docs/decisions/0019-narrow-storage.md
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/formats.hpp"
#include "engine/independent.hpp"
#include "engine/kernel_table.hpp"

namespace gradstep {
namespace {

constexpr uint32_t magnitude_bits = 0x7fffffffu, infinity_bits = 0x7f800000u;

// Every NaN is written as this one.
template <class Stored>
constexpr uint16_t quiet_nan = 0;
template <>
constexpr uint16_t quiet_nan<Bfloat16> = 0x7fc0;
template <>
constexpr uint16_t quiet_nan<Float16> = 0x7e00;

inline bool is_nan(uint32_t bits) { return (bits & magnitude_bits) > infinity_bits; }
inline bool is_finite(uint32_t bits) { return (bits & magnitude_bits) < infinity_bits; }

// A half of the last place that is kept, less one, and one more where that place is odd: added, it
// rounds to nearest, and a tie to even.
inline uint32_t half_of(uint32_t bits, unsigned dropped) {
  return (1u << (dropped - 1)) - 1 + (bits >> dropped & 1);
}

inline uint16_t rounded(Bfloat16, uint32_t bits, uint32_t added) {
  return static_cast<uint16_t>((is_nan(bits) ? 0x7fc00000u : bits + added) >> 16);
}

inline uint16_t nearest(Bfloat16 to, float value) {
  const uint32_t bits = bits_of(value);
  return rounded(to, bits, half_of(bits, 16));
}

// `drawn`: uniform 16 bits.
inline uint16_t stochastic(Bfloat16 to, float value, uint32_t drawn) {
  return rounded(to, bits_of(value), drawn);
}

// Of a magnitude below 2^-14, the smallest normal float16, in units of its last place; `added` is
// what rounding adds to 13 bits behind the point.
constexpr uint32_t smallest_normal16 = 0x38800000u;

inline uint16_t rounded(Float16, uint32_t bits, uint32_t added, uint32_t denormal) {
  const uint32_t sign = (bits & ~magnitude_bits) >> 16, magnitude = bits & magnitude_bits;
  const uint32_t moved = magnitude + added - ((127u - 15u) << 23);
  uint32_t result = magnitude < smallest_normal16 ? denormal : moved >> 13;
  result = result > 0x7c00u || magnitude >= infinity_bits ? 0x7c00u : result;
  return static_cast<uint16_t>(is_nan(bits) ? quiet_nan<Float16> : result | sign);
}

inline float magnitude_of(float value) { return float_of(bits_of(value) & magnitude_bits); }

inline uint16_t nearest(Float16 to, float value) {
  const uint32_t bits = bits_of(value);
  // The last place of 1/2 in float32 is that of denormals in float16.
  const uint32_t denormal = bits_of(magnitude_of(value) + 0.5f) - bits_of(0.5f);
  return rounded(to, bits, half_of(bits, 13), denormal);
}

inline uint16_t stochastic(Float16 to, float value, uint32_t drawn) {
  // In units of 2^-37 below 2^-14, truncated, 13 bits of which are dropped.
  const float magnitude = magnitude_of(value);
  const float small = magnitude < 6.103515625e-05f ? magnitude : 0.0f;
  const uint32_t units = static_cast<uint32_t>(static_cast<int32_t>(small * 137438953472.0f));
  const uint32_t added = drawn & 0x1fffu;
  return rounded(to, bits_of(value), added, (units + added) >> 13);
}

// 16 uniform bits for the element of this number.
inline uint32_t draw(const DrawKey& key, uint32_t number) {
  uint32_t x = number ^ key.first;
  x = (x ^ x >> 16) * 0x7feb352du + key.second;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x >> 16;
}

// Weyl's sequence: over the steps, each element's draws are uniform and independent; within one
// they spread over [0, 2^32) as evenly as can be, and cost an addition.
inline uint32_t dither(const DrawKey& key) { return key.first + key.number * weyl; }

inline uint16_t* halves(void* data, size_t begin) { return static_cast<uint16_t*>(data) + begin; }

template <class Stored>
struct Nearest {
  static void unpack(const Array& array, size_t begin, size_t count, void* to) {
    const uint16_t* __restrict from = halves(array.data, begin);
    float* __restrict values = static_cast<float*>(to);
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(Stored{from[i]});
  }

  static void pack(const Array& array, size_t begin, size_t count, const DrawKey&,
                   const void* from) {
    const float* __restrict values = static_cast<const float*>(from);
    uint16_t* __restrict to = halves(array.data, begin);
    for (size_t i = 0; i < count; ++i) to[i] = nearest(Stored{}, values[i]);
  }
};

template <class Stored>
struct Stochastic : Nearest<Stored> {
  static void pack(const Array& array, size_t begin, size_t count, const DrawKey& key,
                   const void* from) {
    const float* __restrict values = static_cast<const float*>(from);
    uint16_t* __restrict to = halves(array.data, begin);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t number = key.number + static_cast<uint32_t>(i) * key.apart;
      to[i] = stochastic(Stored{}, values[i], draw(key, number));
    }
  }
};

// Bits of a float32 that are dropped.
template <class Stored>
constexpr unsigned dropped_of = 16;
template <>
constexpr unsigned dropped_of<Float16> = 13;

template <class Stored>
struct Dithered : Nearest<Stored> {
  static void pack(const Array& array, size_t begin, size_t count, const DrawKey& key,
                   const void* from) {
    const float* __restrict values = static_cast<const float*>(from);
    uint16_t* __restrict to = halves(array.data, begin);
    uint32_t drawn = dither(key);
    for (size_t i = 0; i < count; ++i, drawn += key.apart * weyl)
      to[i] = stochastic(Stored{}, values[i], drawn >> (32 - dropped_of<Stored>));
  }
};

template <class Stored>
struct Kahan {
  static void unpack(const Array& array, size_t begin, size_t count, void* to) {
    const uint16_t* __restrict from = halves(array.data, begin);
    const uint16_t* __restrict rest = halves(array.beside, begin);
    float* __restrict values = static_cast<float*>(to);
    for (size_t i = 0; i < count; ++i)
      values[i] = static_cast<float>(Stored{from[i]}) + static_cast<float>(Stored{rest[i]});
  }

  static void pack(const Array& array, size_t begin, size_t count, const DrawKey&,
                   const void* from) {
    const float* __restrict values = static_cast<const float*>(from);
    uint16_t* __restrict to = halves(array.data, begin);
    uint16_t* __restrict rest = halves(array.beside, begin);
    GRADSTEP_INDEPENDENT
    for (size_t i = 0; i < count; ++i) {
      const Stored kept{nearest(Stored{}, values[i])};
      const auto value = static_cast<float>(kept);
      const float lost = values[i] - value;
      to[i] = kept.bits;
      rest[i] = nearest(Stored{}, is_finite(bits_of(value)) ? lost : 0.0f);
    }
  }
};

// The upper half is rounded, halves away from zero, which the lower half's first bit undoes. Where
// that makes a NaN, somebody has written another upper half, a zero say: it is taken alone.
struct Split {
  static uint32_t join(uint16_t upper, uint16_t lower) {
    const uint32_t bits = (uint32_t{upper} - (lower >> 15)) << 16 | lower;
    return is_nan(bits) ? uint32_t{upper} << 16 : bits;
  }

  static void split(uint32_t bits, uint16_t* upper, uint16_t* lower) {
    bits = is_nan(bits) ? 0x7fc00000u : bits;
    *upper = static_cast<uint16_t>((bits + 0x8000u) >> 16);
    *lower = static_cast<uint16_t>(bits);
  }

  static void unpack(const Array& array, size_t begin, size_t count, void* to) {
    const uint16_t* __restrict upper = halves(array.data, begin);
    const uint16_t* __restrict lower = halves(array.beside, begin);
    float* __restrict values = static_cast<float*>(to);
    GRADSTEP_INDEPENDENT
    for (size_t i = 0; i < count; ++i) values[i] = float_of(join(upper[i], lower[i]));
  }

  static void pack(const Array& array, size_t begin, size_t count, const DrawKey&,
                   const void* from) {
    const float* __restrict values = static_cast<const float*>(from);
    uint16_t* __restrict upper = halves(array.data, begin);
    uint16_t* __restrict lower = halves(array.beside, begin);
    GRADSTEP_INDEPENDENT
    for (size_t i = 0; i < count; ++i) split(bits_of(values[i]), upper + i, lower + i);
  }
};

}  // namespace
}  // namespace gradstep
