// What wrappers do to the parameters of the optimizer that they are around.
//
//   lookahead   s ← s + α·(p − s),   p ← s            Zhang et al. 2019, arXiv:1907.08610
//   asam        p ← p + c·T²·g,   T = |p| + η,   c = ρ/(‖T·g‖ + 1e-12)
//                                                     Kwon et al. 2021, arXiv:2102.11600, eq. 8
// lookahead reads no gradient; the norm of asam is over all tensors. The ascent of sharpness-aware
// minimization (Foret et al. 2021, arXiv:2010.01412) is sgd with lr = −ρ/(‖g‖ + 1e-12).
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Lookahead {
  static constexpr const char* name = "lookahead";
  static constexpr bool part_of_more = true;
  static constexpr auto coefficients = names("alpha");
  static constexpr auto slots = names("slow_param");
  T alpha;

  void operator()(T& p, T, T& slow_param) const {
    slow_param = slow_param + alpha * (p - slow_param);
    p = slow_param;
  }
};

template <class T>
struct Asam {
  static constexpr const char* name = "asam";
  static constexpr auto coefficients = names("rho", "eta");
  static constexpr auto derived = names("ascent");
  static constexpr auto scalars = names("norm");
  static constexpr size_t sum_count = 1;
  static constexpr bool sums_over_all = true;
  static constexpr auto slots = names();
  T rho, eta;
  T ascent;

  void operator()(T& p, T g) const {
    const T size = absolute(p) + eta;
    p = p + (ascent * size) * (size * g);
  }

  void terms(T p, T g, double (&to)[1]) const {
    const T size = absolute(p) + eta;
    to[0] = squared(static_cast<double>(size) * static_cast<double>(g));
  }

  void conclude(const double* sums, double, double* of_all) { of_all[0] = square_root(sums[0]); }

  void finish(const double* of_all) { ascent = rho / (of_all[0] + 1e-12); }
};

}  // namespace
}  // namespace gradstep
