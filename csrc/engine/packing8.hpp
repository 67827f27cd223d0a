// State in 8 bits an element: floating-point numbers relative to the largest of a block of
// elements. The largest itself is kept, but for its last place, so that a block whose gradients
// vanish decays as it should.
//
//   moments8   a sign, 3 bits of exponent and 4 of mantissa
//   squares8   4 bits of exponent and 4 of mantissa; what is above zero never becomes zero, as
//              steps divide by it
//
// Both have gradual underflow, and are dithered: a step mostly changes a number by less than half a
// code, and to nearest it would stand still.
//
// A block that has infinities or NaNs says so by the sign of its scale, and has the two highest
// codes for them. docs/decisions/0019-narrow-storage.md has the errors.
#pragma once

#include "engine/packing.hpp"

namespace gradstep {
namespace {

// A code is what a float32 of a few exponents has above the dropped bits, less what all of these
// have. Below the smallest of them, whose code this is, are equal steps.
constexpr uint32_t dropped = 19;
constexpr uint32_t smallest_normal = 16;

struct Code8 {
  uint32_t magnitudes;  // the bits of a code that are not its sign
  uint32_t least;       // the code of whatever is above zero is at least this
  float smallest, top;  // the values of the smallest normal code and of the highest finite one

  uint32_t in_all() const { return bits_of(smallest) - (smallest_normal << dropped); }
  uint32_t infinity() const { return magnitudes - 1; }
  uint32_t sign() const { return (~magnitudes & 0x80u) << 24; }
};

// Of such exponents that what all have does not fit into a code, and that scales are finite.
constexpr Code8 moments8{0x7f, 0, 0x1p+2f, 0x1.dp+8f};
constexpr Code8 squares8{0xff, 1, 0x1p-14f, 0x1.dp+0f};

inline float decode(const Code8& as, uint32_t code, float scale) {
  const uint32_t magnitude = code & as.magnitudes;
  const float even = as.smallest * (0x1p23f / smallest_normal);  // its last place is a step
  const float small = float_of(bits_of(even) + magnitude) - even;
  const float normal = float_of((magnitude << dropped) + as.in_all());
  const float value = (magnitude < smallest_normal ? small : normal) * scale;
  return float_of(bits_of(value) | (code ^ magnitude) << 24);
}

// Below the normal numbers the smallest of them is added, which makes steps equal, and its code
// taken away. The code is made in the uppermost byte, where the sign is.
inline uint32_t encode(const Code8& as, float value, float inverse, uint32_t drawn) {
  const float relative = magnitude_of(value) * inverse;
  const uint32_t small = bits_of(relative + as.smallest) - (smallest_normal << dropped);
  const uint32_t bits = relative < as.smallest ? small : bits_of(relative);
  uint32_t code = (bits + (drawn >> (32 - dropped))) << (24 - dropped);
  const uint32_t least = value != 0 ? as.least << 24 : 0;
  code = code < least ? least : code;
  return (code | (bits_of(value) & as.sign())) >> 24;
}

inline float decode_special(const Code8& as, uint32_t code, float scale) {
  const uint32_t magnitude = code & as.magnitudes;
  const uint32_t special = infinity_bits | (magnitude != as.infinity() ? 1u : 0u) << 22;
  const float value = decode(as, code, scale);
  return magnitude < as.infinity() ? value : float_of(special | (code ^ magnitude) << 24);
}

inline uint32_t encode_special(const Code8& as, float value, float inverse, uint32_t drawn) {
  const uint32_t bits = bits_of(value), sign = (bits & as.sign()) >> 24;
  if (is_nan(bits)) return as.magnitudes;
  const uint32_t magnitude = encode(as, magnitude_of(value), inverse, drawn);
  const uint32_t largest = is_finite(bits) ? as.infinity() - 1 : as.infinity();
  return (is_finite(bits) && magnitude < largest ? magnitude : largest) | sign;
}

inline float* scale_of(const Array& array, size_t begin) {
  return static_cast<float*>(array.beside) + begin / scale_block;
}
inline uint8_t* codes_of(const Array& array, size_t begin) {
  return static_cast<uint8_t*>(array.data) + begin;
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

// Writes the scale, too. A largest one whose scale would be denormal counts as zero.
inline void encode_block(const Code8& as, const float* __restrict values, size_t count,
                         const DrawKey& key, uint8_t* __restrict codes, float* scale) {
  constexpr float smallest_scale = 0x1p-126f;
  const uint32_t most = largest_of<false>(values, count);
  const bool special = !is_finite(most);
  const uint32_t bits = special ? largest_of<true>(values, count) : most;
  const float largest = float_of(bits) < as.top * smallest_scale ? 0.0f : float_of(bits);
  const float inverse = largest > 0 ? as.top / largest : 0.0f;
  *scale = largest / as.top;
  uint32_t drawn = dither(key);
  if (special) {
    *scale = -*scale;
    for (size_t i = 0; i < count; ++i, drawn += weyl)
      codes[i] = static_cast<uint8_t>(encode_special(as, values[i], inverse, drawn));
  } else {
    for (size_t i = 0; i < count; ++i, drawn += weyl)
      codes[i] = static_cast<uint8_t>(encode(as, values[i], inverse, drawn));
  }
}

template <const Code8& as>
struct Blocks8 {
  static void unpack(const Array& array, size_t begin, size_t count, void* to) {
    float* values = static_cast<float*>(to);
    for (size_t i = 0; i < count; i += scale_block)
      decode_block(as, codes_of(array, begin + i), *scale_of(array, begin + i), width(count - i),
                   values + i);
  }

  static void pack(const Array& array, size_t begin, size_t count, const DrawKey& key,
                   const void* from) {
    const float* values = static_cast<const float*>(from);
    for (size_t i = 0; i < count; i += scale_block) {
      encode_block(as, values + i, width(count - i), key.from(i), codes_of(array, begin + i),
                   scale_of(array, begin + i));
    }
  }

 private:
  static size_t width(size_t left) { return left < scale_block ? left : scale_block; }
};

}  // namespace
}  // namespace gradstep
