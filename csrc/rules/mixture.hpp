// Adam with a second average of gradients beside the first.
//
//   adan      d = g − g_before (0 on the first step)                     Xie et al. 2022,
//             m ← β1·m + (1−β1)·g,   w ← β2·w + (1−β2)·d                 arXiv:2208.06677
//             n ← β3·n + (1−β3)·(g + β2·d)²
//             p ← p − lr·(m/B1 + β2·w/B2)/(√n/√B3 + ε)
//   ademamix  m ← β1·m + (1−β1)·g,   s ← β3_t·s + (1−β3_t)·g             Pagliardini et al. 2024,
//             v ← β2·v + (1−β2)·g²                                       arXiv:2409.03137
//             p ← p − lr·(m/B1 + α_t·s)/(√v/√B2 + ε)
// with Bi = 1−βi^t.
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Adan {
  static constexpr const char* name = "adan";
  static constexpr auto coefficients =
      names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2", "beta3", "one_minus_beta3",
            "diff_weight", "avg_step", "diff_step", "root_scale", "eps");
  static constexpr auto slots = names("exp_avg", "exp_avg_diff", "exp_avg_sq", "previous_grad");
  static constexpr unsigned squares = 0b100;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, beta3, one_minus_beta3;
  T diff_weight, avg_step, diff_step, root_scale, eps;

  T root(T g, T& exp_avg, T& exp_avg_diff, T& exp_avg_sq, T& previous_grad) const {
    const T diff = diff_weight * (g - previous_grad);
    const T ahead = g + beta2 * diff;
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    exp_avg_diff = beta2 * exp_avg_diff + one_minus_beta2 * diff;
    exp_avg_sq = beta3 * exp_avg_sq + one_minus_beta3 * ahead * ahead;
    previous_grad = g;
    return square_root(exp_avg_sq);
  }

  T step(T root, T, T exp_avg, T exp_avg_diff, T, T) const {
    return (avg_step * exp_avg + diff_step * exp_avg_diff) / (root * root_scale + eps);
  }
};

template <class T>
struct Ademamix {
  static constexpr const char* name = "ademamix";
  static constexpr auto coefficients =
      names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2", "beta3", "one_minus_beta3",
            "avg_step", "slow_step", "root_scale", "eps");
  static constexpr auto slots = names("exp_avg", "exp_avg_slow", "exp_avg_sq");
  static constexpr unsigned squares = 0b100;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, beta3, one_minus_beta3;
  T avg_step, slow_step, root_scale, eps;

  T root(T g, T& exp_avg, T& exp_avg_slow, T& exp_avg_sq) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    exp_avg_slow = beta3 * exp_avg_slow + one_minus_beta3 * g;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
    return square_root(exp_avg_sq);
  }

  T step(T root, T, T exp_avg, T exp_avg_slow, T) const {
    return (avg_step * exp_avg + slow_step * exp_avg_slow) / (root * root_scale + eps);
  }
};

}  // namespace
}  // namespace gradstep
