// Prodigy — Mishchenko & Defazio 2023, arXiv:2306.06101, Algorithm 4
//   a ← β3·a + (d/d0)·d·lr·Σ⟨g, p0 − p⟩,   s ← β3·s + (d/d0)·d·lr·g,   d' = c·a/Σ‖s‖₁,
//   m ← β1·m + d·(1−β1)·g,   v ← β2·v + d²·(1−β2)·g²,
//   p ← (1 − d·lr·λ)·p − d·lr·m/(√v + d'·ε),   d ← d'
// Sums are over all tensors, and of groups the first's d0, c, β3 and growth rate count. d' is at
// most d times the growth rate, and never less than d; as long as d is d0 it may rise at once. p0
// is the parameter before its first step.
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Prodigy {
  static constexpr const char* name = "prodigy";
  static constexpr auto coefficients =
      names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2", "beta3", "lr", "s_lr", "eps",
            "weight_decay", "d0", "d_coef", "growth_rate", "start");
  static constexpr auto derived =
      names("weight", "take_s", "take", "take_squares", "step_size", "shrink", "least");
  static constexpr auto scalars = names("d", "d_max", "d_numerator");
  static constexpr size_t sum_count = 2;
  static constexpr bool sums_over_all = true;
  static constexpr auto slots = names("exp_avg", "exp_avg_sq", "s", "p0");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, beta3, lr, s_lr, eps, weight_decay, d0, d_coef,
      growth_rate, start;
  T weight, take_s, take, take_squares, step_size, shrink, least;

  void operator()(T& p, T g, T& exp_avg, T& exp_avg_sq, T& s, T& p0) const {
    p0 = start > T(0) ? p : p0;
    s = beta3 * s + take_s * g;
    exp_avg = beta1 * exp_avg + take * g;
    exp_avg_sq = beta2 * exp_avg_sq + take_squares * g * g;
    p = shrink * p - step_size * exp_avg / (square_root(exp_avg_sq) + least);
  }

  void terms(T p, T g, T, T, T s, T p0, double (&to)[2]) const {
    const double from = static_cast<double>(start > T(0) ? p : p0);
    to[0] = static_cast<double>(weight) * static_cast<double>(g) * (from - static_cast<double>(p));
    to[1] = static_cast<double>(absolute(beta3 * s + take_s * g));
  }

  void begin(const double* of_all) {
    const double d = of_all[0];
    weight = d / d0 * (d * lr);
    take_s = d / d0 * (d * s_lr);
    take = d * one_minus_beta1;
    take_squares = d * d * one_minus_beta2;
    step_size = d * lr;
    shrink = 1.0 - step_size * weight_decay;
  }

  void conclude(const double* sums, double, double* of_all) {
    double& d = of_all[0];
    double& d_max = of_all[1];
    double& numerator = of_all[2];
    numerator = beta3 * numerator + sums[0];
    if (sums[1] > 0) {
      const double estimate = d_coef * numerator / sums[1];
      if (d == d0) d = maximum(d, estimate);
      d_max = maximum(d_max, estimate);
      d = d_max < d * growth_rate ? d_max : d * growth_rate;
    }
  }

  void finish(const double* of_all) { least = of_all[0] * eps; }
};

}  // namespace
}  // namespace gradstep
