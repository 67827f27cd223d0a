#include "engine/copying.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "engine/partition.hpp"

namespace gradstep {
namespace {

constexpr std::size_t past_cache = std::size_t{16} << 20;

#if defined(__SSE2__)
void settle_copies() { _mm_sfence(); }

void copy_past_cache(char* to, const char* from, std::size_t bytes) {
  const std::size_t lead = std::min(bytes, (64 - reinterpret_cast<std::uintptr_t>(to) % 64) % 64);
  std::memcpy(to, from, lead);
  std::size_t at = lead;
  for (; at + 64 <= bytes; at += 64) {
    const auto* const source = reinterpret_cast<const __m128i*>(from + at);
    auto* const target = reinterpret_cast<__m128i*>(to + at);
    for (int i = 0; i < 4; ++i) _mm_stream_si128(target + i, _mm_loadu_si128(source + i));
  }
  std::memcpy(to + at, from + at, bytes - at);
}
#else
void settle_copies() {}

void copy_past_cache(char* to, const char* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
#endif

}  // namespace

Copier::Copier(std::size_t all_bytes) : past_cache_(all_bytes >= past_cache) {}

void Copier::copy(void* to, const void* from, std::size_t bytes) const {
  if (past_cache_)
    copy_past_cache(static_cast<char*>(to), static_cast<const char*>(from), bytes);
  else
    std::memcpy(to, from, bytes);
}

void Copier::settle() const {
  if (past_cache_) settle_copies();
}

// Work is counted in elements of plain SGD in float32, which moves 12 bytes of each; a copy moves
// every byte twice. Borders between chunks are at whole cache lines of the flat range.
void copy_all(const std::vector<Copied>& all, PoolKind pool, int threads) {
  constexpr std::size_t per_element = 6, cache_line = 64;
  std::vector<std::size_t> ends;
  std::size_t total = 0;
  for (const Copied& each : all) ends.push_back(total += each.bytes);
  const Copier copier(total);
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
      copier.copy(static_cast<char*>(all[i].to) + offset,
                  static_cast<const char*>(all[i].from) + offset, bytes);
      begin += bytes;
    }
    copier.settle();
  };
  crew.run(division, job);
}

}  // namespace gradstep
