// Adam with another numerator or another root; m, v and α_t as in adam.hpp.
//
// NAdam — Dozat 2016: the numerator looks one momentum step ahead,
//   p ← p − (a·g + b·m) / (√v/√(1−β2^t) + ε)
// RAdam — Liu et al. 2020, arXiv:1908.03265: the root is left out while its variance is too large,
//   p ← p − α_t·m / (min(√v, cap) + ε),   cap = ∞, or 0 (and ε = 1) for the first steps
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Nadam {
  static constexpr const char* name = "nadam";
  static constexpr auto coefficients = names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2",
                                             "grad_step", "avg_step", "root_scale", "eps");
  static constexpr auto slots = names("exp_avg", "exp_avg_sq");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, grad_step, avg_step, root_scale, eps;

  T root(T g, T& exp_avg, T& exp_avg_sq) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
    return square_root(exp_avg_sq) * root_scale;
  }

  T step(T root, T g, T exp_avg, T) const {
    return (grad_step * g + avg_step * exp_avg) / (root + eps);
  }
};

template <class T>
struct Radam {
  static constexpr const char* name = "radam";
  static constexpr auto coefficients =
      names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2", "step_size", "root_cap", "eps");
  static constexpr auto slots = names("exp_avg", "exp_avg_sq");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root_cap, eps;

  T root(T g, T& exp_avg, T& exp_avg_sq) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
    const T root = square_root(exp_avg_sq);
    return root > root_cap ? root_cap : root;
  }

  T step(T root, T, T exp_avg, T) const { return step_size * exp_avg / (root + eps); }
};

}  // namespace
}  // namespace gradstep
