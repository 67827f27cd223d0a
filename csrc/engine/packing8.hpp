// State in 8 bits an element: floating-point numbers relative to the largest of a block of
// elements. The largest itself is kept exactly, so that a block whose gradients vanish decays as it
// should.
//
//   Moments8   a sign, 3 bits of exponent and 4 of mantissa, with gradual underflow
//   Squares8   5 bits of exponent and 3 of mantissa; what is above zero never becomes zero, as
//              steps divide by it
//
// The two highest codes are infinity and NaN. docs/decisions/0019-narrow-storage.md has the errors.
#pragma once

#include "engine/packing.hpp"

namespace gradstep {
namespace {

struct Moments8 {
  static constexpr uint32_t highest = 125;
  static constexpr float top = 0.90625f;  // the value of the highest finite code

  static uint32_t encode(float value, float inverse) {
    const uint32_t bits = bits_of(value);
    const float relative = magnitude_of(value) * inverse;
    const uint32_t normal = ((bits_of(relative) + half_of(bits_of(relative), 19)) >> 19) - 1904u;
    const uint32_t small = bits_of(relative + 4096.0f) - bits_of(4096.0f);
    uint32_t code = relative < 0.0078125f ? small : normal;
    code = code > highest ? highest : code;
    code = is_finite(bits) ? code : 126u;
    return is_nan(bits) ? 127u : code | (bits >> 24 & 0x80u);
  }

  static float decode(uint32_t code, float scale) {
    const uint32_t magnitude = code & 0x7fu;
    const float small = float_of(bits_of(4096.0f) + magnitude) - 4096.0f;
    const float relative = magnitude < 16 ? small : float_of((magnitude + 1904u) << 19);
    uint32_t bits = bits_of(relative * scale);
    bits = magnitude > highest ? infinity_bits | (magnitude & 1u) << 22 : bits;
    return float_of(bits | (code & 0x80u) << 24);
  }
};

struct Squares8 {
  static constexpr uint32_t highest = 253;
  static constexpr float top = 1.0f;

  static uint32_t encode(float value, float inverse) {
    const uint32_t bits = bits_of(value);
    const uint32_t relative = bits_of(value * inverse);
    const uint32_t rounded = (relative + half_of(relative, 20)) >> 20;
    uint32_t code = rounded > 763u ? rounded - 763u : 1u;
    code = code > highest ? highest : code;
    code = bits == 0 ? 0u : code;
    return is_finite(bits) ? code : is_nan(bits) ? 255u : 254u;
  }

  static float decode(uint32_t code, float scale) {
    const float relative = code == 0 ? 0.0f : float_of((code + 763u) << 20);
    const uint32_t bits = bits_of(relative * scale);
    return float_of(code > highest ? infinity_bits | (code & 1u) << 22 : bits);
  }
};

// Elements that share a scale.
constexpr size_t scale_block = 256;

template <class Code>
struct Blocks8 {
  static void unpack(const Array& array, size_t begin, size_t count, void* to) {
    const float* scales = static_cast<const float*>(array.beside) + begin / scale_block;
    const uint8_t* codes = static_cast<const uint8_t*>(array.data) + begin;
    float* values = static_cast<float*>(to);
    for (; count > 0; ++scales) {
      const size_t here = count < scale_block ? count : scale_block;
      decode(codes, *scales, here, values);
      codes += here;
      values += here;
      count -= here;
    }
  }

  static void pack(const Array& array, size_t begin, size_t count, const DrawKey&,
                   const void* from) {
    float* scales = static_cast<float*>(array.beside) + begin / scale_block;
    uint8_t* codes = static_cast<uint8_t*>(array.data) + begin;
    const float* values = static_cast<const float*>(from);
    for (; count > 0; ++scales) {
      const size_t here = count < scale_block ? count : scale_block;
      const float largest = largest_of(values, here);
      *scales = largest / Code::top;
      encode(values, largest > 0 ? Code::top / largest : 0.0f, here, codes);
      codes += here;
      values += here;
      count -= here;
    }
  }

 private:
  // Of the finite magnitudes; those too small to divide by count as zero.
  static float largest_of(const float* __restrict values, size_t count) {
    int32_t largest = 0;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t magnitude = bits_of(values[i]) & magnitude_bits;
      const auto finite = static_cast<int32_t>(magnitude < infinity_bits ? magnitude : 0u);
      largest = finite > largest ? finite : largest;
    }
    return largest < smallest_scale ? 0.0f : float_of(static_cast<uint32_t>(largest));
  }

  static void encode(const float* __restrict values, float inverse, size_t count,
                     uint8_t* __restrict codes) {
    for (size_t i = 0; i < count; ++i)
      codes[i] = static_cast<uint8_t>(Code::encode(values[i], inverse));
  }

  static void decode(const uint8_t* __restrict codes, float scale, size_t count,
                     float* __restrict values) {
    for (size_t i = 0; i < count; ++i) values[i] = Code::decode(codes[i], scale);
  }

  static constexpr int32_t smallest_scale = 0x01000000;  // 2^-125
};

}  // namespace
}  // namespace gradstep
