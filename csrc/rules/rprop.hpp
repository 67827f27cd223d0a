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
    // Arithmetic on 0, 1 and −1 rather than nested selects, which gcc 12 turns into scalar code.
    const T product = g * prev;
    const T decided = absolute(product) > T(0) ? T(1) : T(0);
    const T direction = copy_sign(decided, product);
    const T up = maximum(direction, T(0)), down = maximum(-direction, T(0));
    const T factor = up * eta_plus + down * eta_minus + (T(1) - decided);
    step_size = clamp(step_size * factor, step_min, step_max);
    prev = down > T(0) ? T(0) : g;
    const T moves = absolute(prev) > T(0) ? T(1) : T(0);
    return copy_sign(moves * step_size, prev);
  }
};

}  // namespace
}  // namespace gradstep
