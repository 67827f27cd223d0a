// Adam with its two averages in another order: gradients are normalised first.
//
//   adopt   n = clamp(g/max(√v, ε), ±c_t),   m ← β1·m + (1−β1)·n,   p ← p − lr·m,
//           then v ← β2·v + (1−β2)·g²                   Taniguchi et al. 2024, arXiv:2411.02853
//   laprop  v ← β2·v + (1−β2)·g²,   m ← β1·m + (1−β1)·g/(√v/√B2 + ε),   p ← p − α_t·m
//                                                       Ziyin et al. 2020, arXiv:2002.04839
// with B2 = 1−β2^t and α_t = lr/(1−β1^t). amsgrad: the root is taken of the largest v so far.
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Adopt {
  static constexpr const char* name = "adopt";
  static constexpr auto coefficients =
      names("lr", "beta1", "one_minus_beta1", "beta2", "one_minus_beta2", "limit", "eps");
  static constexpr auto slots = names("exp_avg", "exp_avg_sq");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T lr, beta1, one_minus_beta1, beta2, one_minus_beta2, limit, eps;

  T step(T g, T& exp_avg, T& exp_avg_sq) const {
    const T normed = clamp(g / maximum(eps, square_root(exp_avg_sq)), -limit, limit);
    exp_avg = beta1 * exp_avg + one_minus_beta1 * normed;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
    return lr * exp_avg;
  }
};

template <class T>
struct Laprop {
  static constexpr const char* name = "laprop";
  static constexpr auto coefficients = names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2",
                                             "step_size", "root_scale", "eps");
  static constexpr auto slots = names("exp_avg", "exp_avg_sq");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root_scale, eps;

  T step(T g, T& exp_avg, T& exp_avg_sq) const {
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
    return moved(g, exp_avg, exp_avg_sq);
  }

  T moved(T g, T& exp_avg, T squares) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g / (square_root(squares) * root_scale + eps);
    return step_size * exp_avg;
  }
};

template <class T>
struct LapropAmsgrad : Laprop<T> {
  static constexpr const char* name = "laprop_amsgrad";
  static constexpr auto slots = names("exp_avg", "exp_avg_sq", "max_exp_avg_sq");
  static constexpr unsigned squares = 0b110;

  T step(T g, T& exp_avg, T& exp_avg_sq, T& max_exp_avg_sq) const {
    exp_avg_sq = this->beta2 * exp_avg_sq + this->one_minus_beta2 * g * g;
    max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq);
    return this->moved(g, exp_avg, max_exp_avg_sq);
  }
};

}  // namespace
}  // namespace gradstep
