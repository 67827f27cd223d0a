// State in 8 bits an element: floating-point numbers relative to the largest of a block of
// elements. The largest itself is kept exactly, so that a block whose gradients vanish decays as it
// should.
//
//   moments8   a sign, 3 bits of exponent and 4 of mantissa, with gradual underflow
//   squares8   5 bits of exponent and 3 of mantissa; what is above zero never becomes zero, as
//              steps divide by it
//
// A block that has infinities or NaNs says so by the sign of its scale, and has the two highest
// codes for them. docs/decisions/0019-narrow-storage.md has the errors.
#pragma once

#include "engine/packing.hpp"

namespace gradstep {
namespace {

struct Code8 {
  uint32_t magnitudes;  // the bits of a code that are not its sign
  uint32_t dropped;     // how many bits of a float32 have no place in a code
  uint32_t lowest;      // a normal number without the dropped bits, less its code
  uint32_t normal;      // the code of the smallest normal number; below, steps are equal
  uint32_t least;       // the code of whatever is above zero is at least this
  float top;            // the value of the highest finite code

  float smallest_normal() const { return float_of((normal + lowest) << dropped); }
  uint32_t infinity() const { return magnitudes - 1; }
  uint32_t sign(uint32_t bits) const { return bits >> 24 & ~magnitudes & 0x80u; }
};

constexpr Code8 moments8{0x7f, 19, 1904, 16, 0, 0.90625f};
constexpr Code8 squares8{0xff, 20, 763, 1, 1, 1.0f};

constexpr float even = 4096.0f;  // its last place is the step of codes below the normal ones

inline float decode(const Code8& as, uint32_t code, float scale) {
  const uint32_t magnitude = code & as.magnitudes;
  const float small = float_of(bits_of(even) + magnitude) - even;
  const float normal = float_of((magnitude + as.lowest) << as.dropped);
  const float value = (magnitude < as.normal ? small : normal) * scale;
  return float_of(bits_of(value) | (code ^ magnitude) << 24);
}

// Halves are rounded away from zero.
inline uint32_t encode(const Code8& as, float value, float inverse) {
  const float relative = magnitude_of(value) * inverse;
  const uint32_t half = (1u << (as.dropped - 1)) - (as.lowest << as.dropped);
  const uint32_t normal = (bits_of(relative) + half) >> as.dropped;
  const uint32_t small = bits_of(relative + even) - bits_of(even);
  uint32_t code = relative < as.smallest_normal() ? small : normal;
  const uint32_t least = value != 0 ? as.least : 0;
  code = code < least ? least : code;
  return code | as.sign(bits_of(value));
}

inline float decode_special(const Code8& as, uint32_t code, float scale) {
  const uint32_t magnitude = code & as.magnitudes;
  const uint32_t special = infinity_bits | (magnitude != as.infinity() ? 1u : 0u) << 22;
  const float value = decode(as, code, scale);
  return magnitude < as.infinity() ? value : float_of(special | (code ^ magnitude) << 24);
}

inline uint32_t encode_special(const Code8& as, float value, float inverse) {
  const uint32_t bits = bits_of(value);
  if (is_nan(bits)) return as.magnitudes;
  return is_finite(bits) ? encode(as, value, inverse) : as.infinity() | as.sign(bits);
}

inline float* scale_of(const Array& array, size_t begin) {
  return static_cast<float*>(array.beside) + begin / scale_block;
}
inline uint8_t* codes_of(const Array& array, size_t begin) {
  return static_cast<uint8_t*>(array.data) + begin;
}
inline const Code8& code_of(const Array& array) {
  return array.format == Format::moments8 ? moments8 : squares8;
}
inline bool has_specials(const Array& array, size_t begin) {
  return bits_of(*scale_of(array, begin)) > magnitude_bits;
}

template <bool finite>
inline uint32_t largest_of(const float* __restrict values, size_t count) {
  int32_t largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto magnitude = static_cast<int32_t>(bits_of(values[i]) & magnitude_bits);
    const int32_t here = finite && magnitude >= static_cast<int32_t>(infinity_bits) ? 0 : magnitude;
    largest = here > largest ? here : largest;
  }
  return static_cast<uint32_t>(largest);
}

inline void decode_block(const Code8& as, const uint8_t* __restrict codes, float scale,
                         size_t count, float* __restrict values) {
  if (bits_of(scale) > magnitude_bits)
    for (size_t i = 0; i < count; ++i) values[i] = decode_special(as, codes[i], -scale);
  else
    for (size_t i = 0; i < count; ++i) values[i] = decode(as, codes[i], scale);
}

// Writes the scale, too. A largest one that is too small to divide by counts as zero.
inline void encode_block(const Code8& as, const float* __restrict values, size_t count,
                         uint8_t* __restrict codes, float* scale) {
  constexpr uint32_t smallest_scale = 0x01000000u;  // 2^-125
  const uint32_t most = largest_of<false>(values, count);
  const bool special = !is_finite(most);
  const uint32_t bits = special ? largest_of<true>(values, count) : most;
  const float largest = bits < smallest_scale ? 0.0f : float_of(bits);
  const float inverse = largest > 0 ? as.top / largest : 0.0f;
  *scale = largest / as.top;
  if (special) {
    *scale = -*scale;
    for (size_t i = 0; i < count; ++i)
      codes[i] = static_cast<uint8_t>(encode_special(as, values[i], inverse));
  } else {
    for (size_t i = 0; i < count; ++i)
      codes[i] = static_cast<uint8_t>(encode(as, values[i], inverse));
  }
}

// Elements [begin, begin + count) of an array, which share a scale.
inline void decode_block(const Array& array, size_t begin, size_t count, float* values) {
  const float scale = *scale_of(array, begin);
  if (array.format == Format::moments8)
    decode_block(moments8, codes_of(array, begin), scale, count, values);
  else
    decode_block(squares8, codes_of(array, begin), scale, count, values);
}

inline void encode_block(const Array& array, size_t begin, size_t count, const float* values) {
  float* scale = scale_of(array, begin);
  if (array.format == Format::moments8)
    encode_block(moments8, values, count, codes_of(array, begin), scale);
  else
    encode_block(squares8, values, count, codes_of(array, begin), scale);
}

struct Blocks8 {
  static void unpack(const Array& array, size_t begin, size_t count, void* to) {
    float* values = static_cast<float*>(to);
    for (size_t i = 0; i < count; i += scale_block)
      decode_block(array, begin + i, width(count - i), values + i);
  }

  static void pack(const Array& array, size_t begin, size_t count, const DrawKey&,
                   const void* from) {
    const float* values = static_cast<const float*>(from);
    for (size_t i = 0; i < count; i += scale_block)
      encode_block(array, begin + i, width(count - i), values + i);
  }

 private:
  static size_t width(size_t left) { return left < scale_block ? left : scale_block; }
};

}  // namespace
}  // namespace gradstep
