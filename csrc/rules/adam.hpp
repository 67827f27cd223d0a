// Adam — Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1
//   m ← β1·m + (1−β1)·g         v ← β2·v + (1−β2)·g²
//   p ← p − α_t·m / (√v/√(1−β2^t) + ε),   α_t = lr/(1−β1^t)
// AMSGrad — Reddi et al. 2018, arXiv:1904.09237: the root is taken of the largest v so far.
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Adam {
  static constexpr const char* name = "adam";
  static constexpr auto coefficients = names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2",
                                             "step_size", "root_scale", "eps");
  static constexpr auto slots = names("exp_avg", "exp_avg_sq");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root_scale, eps;

  T root(T g, T& exp_avg, T& exp_avg_sq) const {
    average(g, exp_avg, exp_avg_sq);
    return square_root(exp_avg_sq);
  }

  T step(T root, T, T exp_avg, T) const { return step_size * exp_avg / (root * root_scale + eps); }

  void average(T g, T& exp_avg, T& exp_avg_sq) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
  }
};

template <class T>
struct AdamAmsgrad : Adam<T> {
  static constexpr const char* name = "adam_amsgrad";
  static constexpr auto slots = names("exp_avg", "exp_avg_sq", "max_exp_avg_sq");
  static constexpr unsigned squares = 0b110;

  T root(T g, T& exp_avg, T& exp_avg_sq, T& max_exp_avg_sq) const {
    this->average(g, exp_avg, exp_avg_sq);
    max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq);
    return square_root(max_exp_avg_sq);
  }

  T step(T root, T, T exp_avg, T, T) const {
    return this->step_size * exp_avg / (root * this->root_scale + this->eps);
  }
};

}  // namespace
}  // namespace gradstep
