// Adafactor — Shazeer & Stern 2018, arXiv:1804.04235, Algorithms 4 and 5; as PyTorch has it
//   v ← v + τ·(g² − v), of matrices by factors: engine/factored.hpp,   u = g/√max(v, ε1²),
//   p ← decay·p − max(ε2, rms(p))·ρ/max(1, rms(u)/d)·u
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

// Of matrices: what is multiplied of the factors is 1/√v.
template <class T>
struct AdafactorOfFactors {
  static constexpr const char* name = "adafactor_of_factors";
  static constexpr auto coefficients =
      names("rho", "one_minus_beta2", "eps1", "eps1_squared", "eps2", "d");
  static constexpr auto derived = names("step_size");
  static constexpr size_t sum_count = 2;
  static constexpr auto slots = names("inverse_root");
  T rho, one_minus_beta2, eps1, eps1_squared, eps2, d;
  T step_size;

  T share() const { return one_minus_beta2; }
  T least_mean() const { return eps1; }

  T step(T g, T& inverse_root) const { return step_size * normalized(g, inverse_root); }

  T normalized(T g, T inverse_root) const { return g * minimum(inverse_root, T(1) / eps1); }

  void terms(T p, T g, T inverse_root, double (&to)[2]) const {
    to[0] = squared(p);
    to[1] = squared(normalized(g, inverse_root));
  }

  void conclude(const double* sums, double size, double*) {
    const double alpha = maximum(eps2, sqrt(sums[0] / size)) * rho;
    step_size = alpha / maximum(1.0, sqrt(sums[1] / size) / d);
  }
};

template <class T>
struct Adafactor : AdafactorOfFactors<T> {
  static constexpr const char* name = "adafactor";
  static constexpr auto slots = names("variance");
  static constexpr unsigned squares = 0b1;
  static constexpr unsigned roots_and_quotients = 2;
  template <class U>
  using OfFactors = AdafactorOfFactors<U>;

  T step(T g, T& variance) const { return this->step_size * normalized(g, variance); }

  T normalized(T g, T& variance) const {
    variance = variance + this->one_minus_beta2 * (g * g - variance);
    return g / square_root(maximum(this->eps1_squared, variance));
  }

  void terms(T p, T g, T variance, double (&to)[2]) const {
    to[0] = squared(p);
    to[1] = squared(normalized(g, variance));
  }
};

}  // namespace
}  // namespace gradstep
