// Averaged SGD — Polyak & Juditsky 1992; step sizes of Bottou's SGD, as PyTorch has it
//   p ← (1 − λ·η_t)·p − η_t·g,   η_t = lr/(1 + λ·lr·(t−1))^α
//   a ← a + μ_t·(p − a),         μ_t = 1/max(1, t − 1 − t0)
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Asgd {
  static constexpr const char* name = "asgd";
  static constexpr auto coefficients = names("shrink", "eta", "keep", "take");
  static constexpr auto slots = names("ax");
  T shrink, eta, keep, take;

  void operator()(T& p, T g, T& ax) const {
    p = shrink * p - eta * g;
    ax = keep * ax + take * p;
  }
};

}  // namespace
}  // namespace gradstep
