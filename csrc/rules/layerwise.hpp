// Steps whose size depends on the norms of each tensor, with u for the step before that.
//
//   lamb      m ← β1·m + (1−β1)·g,   v ← β2·v + (1−β2)·g²,   u = (m/B1)/(√v/√B2 + ε) + λ·p,
//             p ← p − lr·(‖p‖/‖u‖)·u                          You et al. 2020, arXiv:1904.00962
//   lars      v ← μ·v + lr·η·(‖p‖/(‖g‖ + ε))·g,   p ← p − v   You et al. 2017, arXiv:1708.03888
//             nesterov: p ← p − (μ·v + lr·η·(‖p‖/(‖g‖ + ε))·g)
//   novograd  s ← β2·s + (1−β2)·‖g‖²,   m ← β1·m + c·(g/(√s + ε) + λ·p),   p ← p − lr·m
//                                                   Ginsburg et al. 2019, arXiv:1905.11286
// A ratio of norms of which one is zero is 1, without η. B1 = 1−β1^t, B2 = 1−β2^t.
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

// What of the trust ratio ‖p‖/(‖u‖ + ε), times η, there is.
inline double trust_ratio(const double* squares, double eta, double eps) {
  const double param = sqrt(squares[0]), step = sqrt(squares[1]);
  return param == 0 || step == 0 ? 1.0 : eta * param / (step + eps);
}

template <class T>
struct Lamb {
  static constexpr const char* name = "lamb";
  static constexpr auto coefficients =
      names("beta1", "one_minus_beta1", "beta2", "one_minus_beta2", "mean_scale", "root_scale",
            "eps", "weight_decay", "lr");
  static constexpr auto derived = names("step_size");
  static constexpr size_t sum_count = 2;
  static constexpr auto slots = names("exp_avg", "exp_avg_sq");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, mean_scale, root_scale, eps, weight_decay, lr;
  T step_size;

  void operator()(T& p, T g, T& exp_avg, T& exp_avg_sq) const {
    p = p - step_size * unscaled(p, g, exp_avg, exp_avg_sq);
  }

  T unscaled(T p, T g, T& exp_avg, T& exp_avg_sq) const {
    exp_avg = beta1 * exp_avg + one_minus_beta1 * g;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
    return mean_scale * exp_avg / (square_root(exp_avg_sq) * root_scale + eps) + weight_decay * p;
  }

  void terms(T p, T g, T exp_avg, T exp_avg_sq, double (&to)[2]) const {
    to[0] = squared(p);
    to[1] = squared(unscaled(p, g, exp_avg, exp_avg_sq));
  }

  void conclude(const double* sums, double, double*) {
    step_size = lr * trust_ratio(sums, 1.0, 0.0);
  }
};

template <class T>
struct Lars {
  static constexpr const char* name = "lars";
  static constexpr auto coefficients = names("lr", "momentum", "trust_coefficient", "eps");
  static constexpr auto derived = names("step_size");
  static constexpr size_t sum_count = 2;
  static constexpr auto slots = names("momentum_buffer");
  static constexpr bool has_momentum = true;
  T lr, momentum, trust_coefficient, eps;
  T step_size;

  T step(T g, T& momentum_buffer) const {
    momentum_buffer = momentum * momentum_buffer + step_size * g;
    return momentum_buffer;
  }

  void terms(T p, T g, T, double (&to)[2]) const {
    to[0] = squared(p);
    to[1] = squared(g);
  }

  void conclude(const double* sums, double, double*) {
    step_size = lr * trust_ratio(sums, trust_coefficient, eps);
  }
};

template <class T>
struct LarsNesterov : Lars<T> {
  static constexpr const char* name = "lars_nesterov";

  T step(T g, T& momentum_buffer) const {
    momentum_buffer = this->momentum * momentum_buffer + this->step_size * g;
    return this->momentum * momentum_buffer + this->step_size * g;
  }
};

template <class T>
struct Novograd {
  static constexpr const char* name = "novograd";
  static constexpr auto coefficients =
      names("lr", "beta1", "beta2", "one_minus_beta2", "take", "eps", "weight_decay");
  static constexpr auto derived = names("denominator");
  static constexpr auto scalars = names("exp_avg_sq");
  static constexpr size_t sum_count = 1;
  static constexpr auto slots = names("exp_avg");
  static constexpr unsigned roots_and_quotients = 1;
  T lr, beta1, beta2, one_minus_beta2, take, eps, weight_decay;
  T denominator;

  void operator()(T& p, T g, T& exp_avg) const {
    exp_avg = beta1 * exp_avg + take * (g / denominator + weight_decay * p);
    p = p - lr * exp_avg;
  }

  void terms(T, T g, T, double (&to)[1]) const { to[0] = squared(g); }

  void conclude(const double* sums, double, double* exp_avg_sq) {
    *exp_avg_sq = beta2 * *exp_avg_sq + one_minus_beta2 * sums[0];
    denominator = sqrt(*exp_avg_sq) + eps;
  }
};

}  // namespace
}  // namespace gradstep
