#include "engine/copying.hpp"

#include <algorithm>
#include <cstring>

#include "engine/partition.hpp"

namespace gradstep {

// Work is counted in elements of plain SGD in float32, which moves 12 bytes of each; a copy moves
// every byte twice. Borders between chunks are at whole cache lines of the flat range.
void copy_all(const std::vector<Copied>& all, PoolKind pool, int threads) {
  constexpr std::size_t per_element = 6, cache_line = 64;
  std::vector<std::size_t> ends;
  std::size_t total = 0;
  for (const Copied& each : all) ends.push_back(total += each.bytes);
  const Crew crew(pool, total / per_element, threads);
  const Division division = crew.divide(total / per_element);
  const auto border = [total, chunks = static_cast<std::size_t>(division.chunks)](int chunk) {
    if (static_cast<std::size_t>(chunk) == chunks) return total;
    return total / chunks * chunk / cache_line * cache_line;
  };
  auto job = [&](int chunk) {
    std::size_t begin = border(chunk);
    const std::size_t end = border(chunk + 1);
    for (std::size_t i = tensor_at(ends, begin); begin < end; ++i) {
      const std::size_t offset = begin - (ends[i] - all[i].bytes);
      const std::size_t bytes = std::min(ends[i], end) - begin;
      if (bytes == 0) continue;
      std::memcpy(static_cast<char*>(all[i].to) + offset,
                  static_cast<const char*>(all[i].from) + offset, bytes);
      begin += bytes;
    }
  };
  crew.run(division, job);
}

}  // namespace gradstep
