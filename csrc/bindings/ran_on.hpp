// What the last step of a thread that was not skipped ran on.
#pragma once

#include "engine/parallel.hpp"

namespace gradstep {

struct RanOn {
  const char* isa;  // null: there was none
  PoolKind pool;
  int threads;
};

inline thread_local RanOn last_ran_on{};

}  // namespace gradstep
