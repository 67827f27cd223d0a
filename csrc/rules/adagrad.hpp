// Per-element step sizes from sums of squares. ε stands inside or outside the root: the other is 0.
//
//   adagrad    s ← s + g²                   p ← p − lr_t·g/(√(s + ε) + ε)    Duchi et al. 2011
//   adadelta   s ← ρ·s + (1−ρ)·g²,   δ ← √(a + ε)/√(s + ε)·g
//              a ← ρ·a + (1−ρ)·δ²           p ← p − lr·δ                     Zeiler 2012,
//              arXiv:1212.5701
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Adagrad {
  static constexpr const char* name = "adagrad";
  static constexpr auto coefficients = names("lr", "eps_inside", "eps_outside");
  static constexpr auto slots = names("sum");
  static constexpr unsigned roots_and_quotients = 2;
  T lr, eps_inside, eps_outside;

  T root(T g, T& sum) const {
    sum = sum + g * g;
    return square_root(sum + eps_inside);
  }

  T step(T root, T g, T) const { return lr * g / (root + eps_outside); }
};

template <class T>
struct Adadelta {
  static constexpr const char* name = "adadelta";
  static constexpr auto coefficients = names("lr", "rho", "one_minus_rho", "eps");
  static constexpr auto slots = names("square_avg", "acc_delta");
  static constexpr unsigned squares = 0b11;
  static constexpr unsigned roots_and_quotients = 3;
  T lr, rho, one_minus_rho, eps;

  T step(T g, T& square_avg, T& acc_delta) const {
    square_avg = rho * square_avg + one_minus_rho * g * g;
    const T delta = square_root(acc_delta + eps) / square_root(square_avg + eps) * g;
    acc_delta = rho * acc_delta + one_minus_rho * delta * delta;
    return lr * delta;
  }
};

}  // namespace
}  // namespace gradstep
