// Bytes copied on the threads of steps.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/parallel.hpp"

namespace gradstep {

struct Copied {
  void* to;
  const void* from;
  std::size_t bytes;
};

// What is written may not be read.
void copy_all(const std::vector<Copied>& all, PoolKind pool, int threads);

}  // namespace gradstep
