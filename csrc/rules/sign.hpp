// Steps of the gradient's sign, each element by exactly lr or not at all; sign(0) = 0.
//
//   signsgd   p ← p − lr·sign(g)
//   signum    m ← μ·m + (1−μ)·g,   p ← p − lr·sign(m)
//   lion      u ← β1·m + (1−β1)·g,   p ← p − lr·sign(u),   m ← β2·m + (1−β2)·g
//
// Bernstein et al. 2018, arXiv:1802.04434 (the first two); Chen et al. 2023, arXiv:2302.06675.
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct SignSgd {
  static constexpr const char* name = "signsgd";
  static constexpr auto coefficients = names("lr");
  static constexpr auto slots = names();
  T lr;

  T step(T g) const { return lr * sign(g); }
};

template <class T>
struct Signum {
  static constexpr const char* name = "signum";
  static constexpr auto coefficients = names("lr", "momentum", "one_minus_momentum");
  static constexpr auto slots = names("momentum_buffer");
  static constexpr bool has_momentum = true;
  T lr, momentum, one_minus_momentum;

  T step(T g, T& momentum_buffer) const {
    momentum_buffer = momentum * momentum_buffer + one_minus_momentum * g;
    return lr * sign(momentum_buffer);
  }
};

template <class T>
struct Lion {
  static constexpr const char* name = "lion";
  static constexpr auto coefficients =
      names("lr", "beta1", "one_minus_beta1", "beta2", "one_minus_beta2");
  static constexpr auto slots = names("exp_avg");
  static constexpr bool has_momentum = true;
  T lr, beta1, one_minus_beta1, beta2, one_minus_beta2;

  T step(T g, T& exp_avg) const {
    const T u = beta1 * exp_avg + one_minus_beta1 * g;
    exp_avg = beta2 * exp_avg + one_minus_beta2 * g;
    return lr * sign(u);
  }
};

}  // namespace
}  // namespace gradstep
