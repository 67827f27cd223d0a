// RMSprop — Hinton, lecture 6e of "Neural Networks for Machine Learning", 2012; centred: Graves
// 2013, arXiv:1308.0850; with momentum: Goodfellow et al. 2016, algorithm 8.6
//   s ← α·s + (1−α)·g²          d = √(s + ε) + ε, one of the two ε being 0
//   centred: c ← α·c + (1−α)·g, and s − c² under the root
//   rmsprop            p ← p − lr·g/d
//   rmsprop_momentum   b ← μ·b + w·(g/d),   p ← p − lr·b                  w = 1, or where b holds
//   rmsprop_nesterov   b ← μ·b + w·(g/d),   p ← p − lr·(μ·b + w·(g/d))    lr: w = lr and lr = 1
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Rmsprop {
  static constexpr const char* name = "rmsprop";
  static constexpr auto coefficients =
      names("lr", "alpha", "one_minus_alpha", "eps_inside", "eps_outside");
  static constexpr auto slots = names("square_avg");
  static constexpr unsigned squares = 0b1;
  static constexpr unsigned roots_and_quotients = 2;
  T lr, alpha, one_minus_alpha, eps_inside, eps_outside;

  T root(T g, T& square_avg) const {
    square_avg = alpha * square_avg + one_minus_alpha * g * g;
    return square_root(square_avg + eps_inside);
  }

  T step(T root, T g, T) const { return lr * g / (root + eps_outside); }
};

template <class T>
struct RmspropCentered : Rmsprop<T> {
  static constexpr const char* name = "rmsprop_centered";
  static constexpr auto slots = names("square_avg", "grad_avg");
  static constexpr unsigned squares = 0b1;

  // The variance is never negative, but its rounded value can be.
  T root(T g, T& square_avg, T& grad_avg) const {
    square_avg = this->alpha * square_avg + this->one_minus_alpha * g * g;
    grad_avg = this->alpha * grad_avg + this->one_minus_alpha * g;
    const T variance = square_avg - grad_avg * grad_avg;
    return square_root((variance < T(0) ? T(0) : variance) + this->eps_inside);
  }

  T step(T root, T g, T, T) const { return this->lr * g / (root + this->eps_outside); }
};

// Momentum on top of either, with the coefficients behind theirs. State waits for the quotient
// here, so `root` is not inherited: these rules do not come in halves.
template <template <class> class Base, class T>
struct RmspropWithMomentum {
  static constexpr auto coefficients = names("lr", "alpha", "one_minus_alpha", "eps_inside",
                                             "eps_outside", "momentum", "grad_weight");
  static constexpr unsigned roots_and_quotients = Base<T>::roots_and_quotients;
  static constexpr bool has_momentum = true;
  Base<T> base;
  T momentum, grad_weight;

  template <class... Average>
  T heavy_ball(T g, T& momentum_buffer, Average&... average) const {
    momentum_buffer = momentum * momentum_buffer + normed(g, average...);
    return base.lr * momentum_buffer;
  }

  template <class... Average>
  T nesterov(T g, T& momentum_buffer, Average&... average) const {
    const T pull = normed(g, average...);
    momentum_buffer = momentum * momentum_buffer + pull;
    return base.lr * (momentum * momentum_buffer + pull);
  }

  template <class... Average>
  T normed(T g, Average&... average) const {
    return grad_weight * (g / (base.root(g, average...) + base.eps_outside));
  }
};

template <class T>
struct RmspropMomentum : RmspropWithMomentum<Rmsprop, T> {
  static constexpr const char* name = "rmsprop_momentum";
  static constexpr auto slots = names("square_avg", "momentum_buffer");
  static constexpr unsigned squares = 0b1;

  T step(T g, T& square_avg, T& momentum_buffer) const {
    return this->heavy_ball(g, momentum_buffer, square_avg);
  }
};

template <class T>
struct RmspropNesterov : RmspropWithMomentum<Rmsprop, T> {
  static constexpr const char* name = "rmsprop_nesterov";
  static constexpr auto slots = names("square_avg", "momentum_buffer");
  static constexpr unsigned squares = 0b1;

  T step(T g, T& square_avg, T& momentum_buffer) const {
    return this->nesterov(g, momentum_buffer, square_avg);
  }
};

template <class T>
struct RmspropCenteredMomentum : RmspropWithMomentum<RmspropCentered, T> {
  static constexpr const char* name = "rmsprop_centered_momentum";
  static constexpr auto slots = names("square_avg", "grad_avg", "momentum_buffer");
  static constexpr unsigned squares = 0b1;

  T step(T g, T& square_avg, T& grad_avg, T& momentum_buffer) const {
    return this->heavy_ball(g, momentum_buffer, square_avg, grad_avg);
  }
};

template <class T>
struct RmspropCenteredNesterov : RmspropWithMomentum<RmspropCentered, T> {
  static constexpr const char* name = "rmsprop_centered_nesterov";
  static constexpr auto slots = names("square_avg", "grad_avg", "momentum_buffer");
  static constexpr unsigned squares = 0b1;

  T step(T g, T& square_avg, T& grad_avg, T& momentum_buffer) const {
    return this->nesterov(g, momentum_buffer, square_avg, grad_avg);
  }
};

}  // namespace
}  // namespace gradstep
