// Every rule the engine is built with. A new rule is one header and one line here.
#pragma once

#include "rules/adam.hpp"
#include "rules/sgd.hpp"

namespace gradstep {
namespace {

template <template <class> class... Rule>
struct RuleList {};

using Registry = RuleList<  //
    Sgd, SgdMomentum, SgdNesterov, SgdVelocity, SgdVelocityNesterov, Adam, AdamAmsgrad>;

}  // namespace
}  // namespace gradstep
