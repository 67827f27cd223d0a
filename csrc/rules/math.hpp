// The scalar vocabulary of the rules: operations that every CPU and NumPy round alike.
//
// Rule headers are compiled once per instruction set. Everything here and in the rules sits in an
// anonymous namespace, so that no copy built for one instruction set can be linked into another.
#pragma once

#include <math.h>
#include <stddef.h>

namespace gradstep {
namespace {

inline float square_root(float x) { return sqrtf(x); }
inline double square_root(double x) { return sqrt(x); }

inline float absolute(float x) { return fabsf(x); }
inline double absolute(double x) { return fabs(x); }

inline float copy_sign(float magnitude, float sign) { return copysignf(magnitude, sign); }
inline double copy_sign(double magnitude, double sign) { return copysign(magnitude, sign); }

// The larger of the two; `a` where either is NaN.
template <class T>
inline T maximum(T a, T b) {
  return b > a ? b : a;
}

// The smaller of the two; `a` where either is NaN.
template <class T>
inline T minimum(T a, T b) {
  return b < a ? b : a;
}

// x drawn towards zero by `threshold`, and exactly zero within it: the proximal step of L1.
template <class T>
inline T soft_threshold(T x, T threshold) {
  const T shrunk = absolute(x) - threshold;
  return copy_sign(shrunk < T(0) ? T(0) : shrunk, x);
}

// −1, 0 or 1; 0 for NaN.
template <class T>
inline T sign(T x) {
  return x > T(0) ? T(1) : (x < T(0) ? T(-1) : T(0));
}

// x limited to [low, high]; NaN stays NaN.
template <class T>
inline T clamp(T x, T low, T high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

// What sums of squares are of.
template <class T>
inline double squared(T x) {
  return static_cast<double>(x) * static_cast<double>(x);
}

// A fixed list of names: a rule's coefficients or state slots, in the order of its members.
template <size_t N>
struct Names {
  const char* at[N == 0 ? 1 : N];
  static constexpr size_t size = N;
};

template <class... Name>
constexpr Names<sizeof...(Name)> names(Name... name) {
  return {{name...}};
}

}  // namespace
}  // namespace gradstep
