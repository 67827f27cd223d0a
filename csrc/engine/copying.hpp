// Bytes copied as they are: by steps, or alone on the threads of steps.
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

// Copies parts of so many bytes in all, past the cache where none could hold them until they are
// needed. What is written may not be read.
class Copier {
 public:
  explicit Copier(std::size_t all_bytes);
  void copy(void* to, const void* from, std::size_t bytes) const;
  void settle() const;  // lets other threads see what this one has copied

 private:
  bool past_cache_;
};

// What is written may not be read.
void copy_all(const std::vector<Copied>& all, PoolKind pool, int threads);

}  // namespace gradstep
