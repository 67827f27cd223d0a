// What wrappers do to the parameters of the optimizer that they are around.
//
//   lookahead   s ← s + α·(p − s),   p ← s            Zhang et al. 2019, arXiv:1907.08610
//   asam        p ← p + c·T²·g,   T = |p| + η         Kwon et al. 2021, arXiv:2102.11600
// lookahead reads no gradient; c is what the norm of T·g has left of the radius ρ. The ascent of
// sharpness-aware minimization (Foret et al. 2021, arXiv:2010.01412) is sgd with lr = −c.
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
  static constexpr bool part_of_more = true;
  static constexpr auto coefficients = names("ascent", "eta");
  static constexpr auto slots = names();
  T ascent, eta;

  void operator()(T& p, T g) const {
    const T size = absolute(p) + eta;
    p = p + (ascent * size) * (size * g);
  }
};

}  // namespace
}  // namespace gradstep
