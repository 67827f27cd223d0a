// FTRL-Proximal — McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches", Algorithm 1
//   σ = (√(n + g²) − √n)/α,   z ← z + g − σ·p,   n ← n + g²
//   p ← 0 where |z| ≤ λ1, else −(z − sign(z)·λ1)/((β + √n)/α + λ2)
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Ftrl {
  static constexpr const char* name = "ftrl";
  static constexpr auto coefficients = names("lr", "beta", "lambda1", "lambda2");
  static constexpr auto slots = names("z", "n");
  static constexpr unsigned roots_and_quotients = 5;
  T lr, beta, lambda1, lambda2;

  void operator()(T& p, T g, T& z, T& n) const {
    const T grown = n + g * g;
    const T root = square_root(grown);
    z = z + g - (root - square_root(n)) / lr * p;
    n = grown;
    p = T(0) - soft_threshold(z, lambda1) / ((beta + root) / lr + lambda2);
  }
};

}  // namespace
}  // namespace gradstep
