// Which instruction sets were built, which this CPU has, and which one is in force.
#pragma once

#include <string>
#include <vector>

#include "engine/kernel_table.hpp"

namespace gradstep {

// Built and supported by this CPU, from the narrowest to the widest.
std::vector<std::string> available_isas();

// Throws std::invalid_argument for a name that is unknown, not built, or not supported here.
// Returns the one before.
const char* set_isa(const std::string& name);

const KernelTable& active_kernels();

// The rule's place in every table. Throws std::invalid_argument for a name that none has.
size_t rule_named(const std::string& name);

}  // namespace gradstep
