// Rprop — Riedmiller & Braun 1993, without weight backtracking, as PyTorch has it
//   Δ ← clamp(Δ·η₊, Δmin, Δmax)   where g has kept its sign
//   Δ ← clamp(Δ·η₋, Δmin, Δmax), g ← 0   where it has changed
//   p ← p − Δ·sign(g)
// The sign is compared by the product of two gradients, which may underflow to "neither".
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Rprop {
  static constexpr const char* name = "rprop";
  static constexpr auto coefficients = names("eta_minus", "eta_plus", "step_min", "step_max");
  static constexpr auto slots = names("prev", "step_size");
  T eta_minus, eta_plus, step_min, step_max;

  T step(T g, T& prev, T& step_size) const {
    const T agreement = sign(g * prev);
    const T up = maximum(agreement, T(0)), down = maximum(-agreement, T(0));
    // Arithmetic on 0 and 1 rather than selects, which gcc 12 does not vectorise here.
    const T factor = up * eta_plus + down * eta_minus + (T(1) - up - down);
    step_size = clamp(step_size * factor, step_min, step_max);
    prev = down > T(0) ? T(0) : g;
    return sign(prev) * step_size;
  }
};

}  // namespace
}  // namespace gradstep
