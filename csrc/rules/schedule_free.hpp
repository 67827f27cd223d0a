// Schedule-free methods — Defazio et al. 2024, arXiv:2405.15682
// The parameter is y, where gradients are taken; z takes the steps of the method beneath, u, and x,
// which is evaluated, averages the z: y = (1−β)·z + β·x.
//   c = w_t/Σw,   y ← y + c·(z − y) + lr·(β·(1−c) − 1)·u,   z ← z − lr·u,   z = y at first
//   schedule_free_sgd   u = g
//   schedule_free_adam  v ← β2·v + (1−β2)·g²,   u = g/(√v/√B2 + ε) + λ·y
// with w_t = t^r·(the largest lr^q so far), and B2 = 1−β2^t.
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

// What the weights of the average amount to.
template <class T>
struct AverageWeight {
  T c, y_step;

  void conclude(double lr, double lr_power, double polynomial, double beta, double* scalars) {
    scalars[0] = maximum(scalars[0], lr_power);
    const double weight = polynomial * scalars[0];
    scalars[1] = scalars[1] + weight;
    c = scalars[1] > 0 ? weight / scalars[1] : 0.0;
    y_step = lr * (beta * (1.0 - c) - 1.0);
  }

  T moved(T y, T z, T u) const { return y + c * (z - y) + y_step * u; }
};

template <class T>
struct ScheduleFreeSgd {
  static constexpr const char* name = "schedule_free_sgd";
  static constexpr auto coefficients = names("lr", "lr_power", "polynomial", "beta", "start");
  static constexpr auto derived = names("c", "y_step");
  static constexpr auto scalars = names("lr_power_max", "weight_sum");
  static constexpr auto slots = names("z");
  T lr, lr_power, polynomial, beta, start;
  AverageWeight<T> average;

  void operator()(T& p, T g, T& z) const {
    const T before = start > T(0) ? p : z;
    p = average.moved(p, before, g);
    z = before - lr * g;
  }

  void conclude(const double*, double, double* of_tensor) {
    average.conclude(lr, lr_power, polynomial, beta, of_tensor);
  }
};

template <class T>
struct ScheduleFreeAdam {
  static constexpr const char* name = "schedule_free_adam";
  static constexpr auto coefficients =
      names("lr", "lr_power", "polynomial", "beta", "start", "beta2", "one_minus_beta2",
            "root_scale", "eps", "weight_decay");
  static constexpr auto derived = names("c", "y_step");
  static constexpr auto scalars = names("lr_power_max", "weight_sum");
  static constexpr auto slots = names("z", "exp_avg_sq");
  static constexpr unsigned squares = 0b10;
  static constexpr unsigned roots_and_quotients = 2;
  T lr, lr_power, polynomial, beta, start, beta2, one_minus_beta2, root_scale, eps, weight_decay;
  AverageWeight<T> average;

  void operator()(T& p, T g, T& z, T& exp_avg_sq) const {
    const T before = start > T(0) ? p : z;
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * g * g;
    const T u = g / (square_root(exp_avg_sq) * root_scale + eps) + weight_decay * p;
    p = average.moved(p, before, u);
    z = before - lr * u;
  }

  void conclude(const double*, double, double* of_tensor) {
    average.conclude(lr, lr_power, polynomial, beta, of_tensor);
  }
};

}  // namespace
}  // namespace gradstep
