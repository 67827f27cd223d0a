// Adamax — Kingma & Ba 2015, arXiv:1412.6980, Algorithm 2; m and α_t as in adam.hpp
//   u ← max(β2·u, |g| + ε)      p ← p − α_t·m / u
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Adamax {
  static constexpr const char* name = "adamax";
  static constexpr auto coefficients =
      names("beta1", "one_minus_beta1", "beta2", "step_size", "eps");
  static constexpr auto slots = names("exp_avg", "exp_inf");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 1;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, beta2, step_size, eps;

  T step(T g, T& exp_avg, T& exp_inf) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    exp_inf = maximum(beta2 * exp_inf, absolute(g) + eps);
    return step_size * exp_avg / exp_inf;
  }
};

}  // namespace
}  // namespace gradstep
