// Muon — Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
//   b ← μ·b + (1−μ)·g           p ← p − lr·O,   O: the direction, from b and g, as a matrix
#pragma once

#include "rules/math.hpp"

namespace gradstep {
namespace {

template <class T>
struct Muon {
  static constexpr const char* name = "muon";
  static constexpr bool part_of_more = true;
  static constexpr auto coefficients = names("lr", "momentum", "one_minus_momentum");
  static constexpr auto slots = names("momentum_buffer", "direction");
  T lr, momentum, one_minus_momentum;

  T step(T g, T& momentum_buffer, T direction) const {
    momentum_buffer = momentum * momentum_buffer + one_minus_momentum * g;
    return lr * direction;
  }
};

}  // namespace
}  // namespace gradstep
