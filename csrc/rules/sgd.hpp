// Stochastic gradient descent with momentum — Polyak 1964; Sutskever et al. 2013, ICML 28(3)
//
//   sgd                     p ← p − lr·g
//   sgd_momentum            v ← μ·v + w·g,   p ← p − lr·v
//   sgd_nesterov            v ← μ·v + w·g,   p ← p − lr·(g + μ·v)
// with w = 1 on the first step, then 1 − damp.
// The learning rate inside the velocity (Goodfellow et al. 2016, algorithms 8.2 and 8.3):
//   sgd_velocity            v ← μ·v + lr·g,  p ← p − v
//   sgd_velocity_nesterov   v ← μ·v + lr·g,  p ← p − (μ·v + lr·g)
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Sgd {
  static constexpr const char* name = "sgd";
  static constexpr auto coefficients = names("lr");
  static constexpr auto slots = names();
  T lr;

  T step(T g) const { return lr * g; }
};

template <class T>
struct SgdMomentum {
  static constexpr const char* name = "sgd_momentum";
  static constexpr auto coefficients = names("lr", "momentum", "grad_weight");
  static constexpr auto slots = names("momentum_buffer");
  static constexpr bool has_momentum = true;
  T lr, momentum, grad_weight;

  T step(T g, T& momentum_buffer) const {
    momentum_buffer = momentum * momentum_buffer + grad_weight * g;
    return lr * momentum_buffer;
  }
};

template <class T>
struct SgdNesterov {
  static constexpr const char* name = "sgd_nesterov";
  static constexpr auto coefficients = names("lr", "momentum", "grad_weight");
  static constexpr auto slots = names("momentum_buffer");
  static constexpr bool has_momentum = true;
  T lr, momentum, grad_weight;

  T step(T g, T& momentum_buffer) const {
    momentum_buffer = momentum * momentum_buffer + grad_weight * g;
    return lr * (g + momentum * momentum_buffer);
  }
};

template <class T>
struct SgdVelocity {
  static constexpr const char* name = "sgd_velocity";
  static constexpr auto coefficients = names("lr", "momentum");
  static constexpr auto slots = names("momentum_buffer");
  static constexpr bool has_momentum = true;
  T lr, momentum;

  T step(T g, T& momentum_buffer) const {
    momentum_buffer = momentum * momentum_buffer + lr * g;
    return momentum_buffer;
  }
};

template <class T>
struct SgdVelocityNesterov {
  static constexpr const char* name = "sgd_velocity_nesterov";
  static constexpr auto coefficients = names("lr", "momentum");
  static constexpr auto slots = names("momentum_buffer");
  static constexpr bool has_momentum = true;
  T lr, momentum;

  T step(T g, T& momentum_buffer) const {
    const T pull = lr * g;
    momentum_buffer = momentum * momentum_buffer + pull;
    return momentum * momentum_buffer + pull;
  }
};

}  // namespace
}  // namespace gradstep
