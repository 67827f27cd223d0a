// What stands for a tensor in a step where rounding draws.
#pragma once

#include <cstdint>

#include "engine/kernel_table.hpp"

namespace gradstep {

// The mixing of SplitMix64, Steele, Lea and Flood 2014.
inline DrawKey draw_key(std::uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return {static_cast<std::uint32_t>(z), static_cast<std::uint32_t>(z >> 32), 0, 1};
}

}  // namespace gradstep
