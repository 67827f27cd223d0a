// Adam that limits by a norm of each tensor what goes wrong in it.
//
//   stable_adamw  m ← b1·m + (1−b1)·g,   v ← b2·v + (1−b2)·g²,   α = lr/max(1, √mean(g²/max(v,
//   ε²))),
//                 p ← (1−α·λ)·p − α·m/(√v + ε)          Wortsman et al. 2023, arXiv:2304.13013
//   mars          c = g + γ·β1/(1−β1)·(g − g'),   c ← c/max(1, ‖c‖),
//                 m ← β1·m + (1−β1)·c,   v ← β2·v + (1−β2)·c²,   p ← p − α_t·m/(√v + ε),
//                 g' ← g                                Yuan et al. 2024, arXiv:2411.10438
// with b1, b2 corrected for the bias, α_t = lr·√B2/B1, B1 = 1−β1^t, B2 = 1−β2^t.
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct StableAdamw {
  static constexpr const char* name = "stable_adamw";
  static constexpr auto coefficients = names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2",
                                             "eps", "eps_squared", "lr", "weight_decay");
  static constexpr auto derived = names("step_size", "shrink");
  static constexpr size_t sum_count = 1;
  static constexpr auto slots = names("exp_avg", "exp_avg_sq");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, eps, eps_squared, lr, weight_decay;
  T step_size, shrink;

  void operator()(T& p, T g, T& exp_avg, T& exp_avg_sq) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
    p = shrink * p - step_size * exp_avg / (square_root(exp_avg_sq) + eps);
  }

  void terms(T, T g, T, T exp_avg_sq, double (&to)[1]) const {
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
    to[0] = static_cast<double>(g * g / maximum(eps_squared, exp_avg_sq));
  }

  void conclude(const double* sums, double size, double*) {
    step_size = lr / maximum(1.0, sqrt(sums[0] / size));
    shrink = 1.0 - step_size * weight_decay;
  }
};

template <class T>
struct Mars {
  static constexpr const char* name = "mars";
  static constexpr auto coefficients = names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2",
                                             "step_size", "eps", "correction");
  static constexpr auto derived = names("scale");
  static constexpr size_t sum_count = 1;
  static constexpr auto slots = names("exp_avg", "exp_avg_sq", "last_grad");
  static constexpr unsigned squares = 0b010;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, eps, correction;
  T scale;

  T step(T g, T& exp_avg, T& exp_avg_sq, T& last_grad) const {
    const T c = scale * corrected(g, last_grad);
    exp_avg = beta1 * exp_avg + one_minus_beta1 * c;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * c * c;
    last_grad = g;
    return step_size * exp_avg / (square_root(exp_avg_sq) + eps);
  }

  T corrected(T g, T last_grad) const { return g + correction * (g - last_grad); }

  void terms(T, T g, T, T, T last_grad, double (&to)[1]) const {
    to[0] = squared(corrected(g, last_grad));
  }

  void conclude(const double* sums, double, double*) { scale = 1.0 / maximum(1.0, sqrt(sums[0])); }
};

}  // namespace
}  // namespace gradstep
