// SOAP — Vyas et al. 2024, arXiv:2409.11321, Algorithm 3
//   m ← β1·m + (1−β1)·r         v ← β2·v + (1−β2)·r²,   r: the gradient in the eigenbases
//   p ← p − α_t·d,   d: m/(√v + ε), rotated back;  α_t = lr·√(1−β2^t)/(1−β1^t)
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Soap {
  static constexpr const char* name = "soap";
  static constexpr bool part_of_more = true;
  static constexpr auto coefficients =
      names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2", "step_size");
  static constexpr auto slots = names("exp_avg", "exp_avg_sq", "rotated", "direction");
  static constexpr unsigned squares = 0b10;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size;

  T step(T, T& exp_avg, T& exp_avg_sq, T rotated, T direction) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * rotated;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * rotated * rotated;
    return step_size * direction;
  }
};

}  // namespace
}  // namespace gradstep
