// Adam with another second moment.
//
//   adabelief  m ← β1·m + (1−β1)·g,   s ← β2·s + (1−β2)·(g−m)² + ε_root
//              p ← p − α_t·m/(√s/√B2 + ε)               Zhuang et al. 2020, arXiv:2010.07468
//   yogi       m ← β1·m + (1−β1)·g,   v ← v − (1−β2)·sign(v − g²)·g²
//              p ← p − α_t·m/(√v/√B2 + ε)               Zaheer et al. 2018, NeurIPS
// with B2 = 1−β2^t and α_t = lr/(1−β1^t). amsgrad: the root is taken of the largest s so far.
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Adabelief {
  static constexpr const char* name = "adabelief";
  static constexpr auto coefficients = names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2",
                                             "step_size", "root_scale", "eps", "eps_root");
  static constexpr auto slots = names("exp_avg", "exp_avg_var");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root_scale, eps, eps_root;

  T root(T g, T& exp_avg, T& exp_avg_var) const {
    average(g, exp_avg, exp_avg_var);
    return square_root(exp_avg_var);
  }

  T step(T root, T, T exp_avg, T) const { return step_size * exp_avg / (root * root_scale + eps); }

  void average(T g, T& exp_avg, T& exp_avg_var) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    const T surprise = g - exp_avg;
    exp_avg_var = beta2 * exp_avg_var + one_minus_beta2 * surprise * surprise + eps_root;
  }
};

template <class T>
struct AdabeliefAmsgrad : Adabelief<T> {
  static constexpr const char* name = "adabelief_amsgrad";
  static constexpr auto slots = names("exp_avg", "exp_avg_var", "max_exp_avg_var");
  static constexpr unsigned squares = 0b110;

  T root(T g, T& exp_avg, T& exp_avg_var, T& max_exp_avg_var) const {
    this->average(g, exp_avg, exp_avg_var);
    max_exp_avg_var = maximum(max_exp_avg_var, exp_avg_var);
    return square_root(max_exp_avg_var);
  }

  T step(T root, T, T exp_avg, T, T) const {
    return this->step_size * exp_avg / (root * this->root_scale + this->eps);
  }
};

template <class T>
struct Yogi {
  static constexpr const char* name = "yogi";
  static constexpr auto coefficients =
      names("beta1", "one_minus_beta1", "one_minus_beta2", "step_size", "root_scale", "eps");
  static constexpr auto slots = names("exp_avg", "exp_avg_sq");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  static constexpr bool has_momentum = true;
  T beta1, one_minus_beta1, one_minus_beta2, step_size, root_scale, eps;

  T root(T g, T& exp_avg, T& exp_avg_sq) const {
    const T square = g * g;
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    // Selected by comparison, not multiplied by a sign: a square that overflows leaves v infinite.
    const T change = one_minus_beta2 * square;
    const T grown = exp_avg_sq < square ? exp_avg_sq + change : exp_avg_sq;
    exp_avg_sq = exp_avg_sq > square ? exp_avg_sq - change : grown;
    return square_root(exp_avg_sq);
  }

  T step(T root, T, T exp_avg, T) const { return step_size * exp_avg / (root * root_scale + eps); }
};

}  // namespace
}  // namespace gradstep
