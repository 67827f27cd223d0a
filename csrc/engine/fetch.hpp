// Memory that is asked for ahead of loops that convert: these have so much to do with an element
// that the CPU does not look ahead far enough by itself.
#pragma once

#include <stddef.h>

#include "engine/independent.hpp"
#include "engine/kernel_table.hpp"

namespace gradstep {
namespace {

// Elements whose memory is asked for at a time, so few that what waits for it does not fill up, and
// how far ahead of their use that is.
constexpr size_t fetch_block = 128;
constexpr size_t fetch_ahead = 1024;

inline void fetch(const void* data, size_t begin, size_t count, size_t item) {
  constexpr size_t cache_line = 64;
  const char* at = static_cast<const char*>(data) + begin * item;
  for (size_t i = 0; i < count * item; i += cache_line) GRADSTEP_PREFETCH(at + i);
}

inline void fetch(const Array& array, size_t begin, size_t count) {
  if (!array.data) return;
  const size_t item = item_bytes[static_cast<size_t>(array.format)];
  fetch(array.data, begin, count, item);
  if (array.beside && item == 2) fetch(array.beside, begin, count, item);
}

// What a step needs of the elements that are fetch_ahead of `begin`.
inline void fetch(const Span& span, size_t begin) {
  if (begin + fetch_ahead >= span.size) return;
  begin += fetch_ahead;
  const size_t count = span.size - begin < fetch_block ? span.size - begin : fetch_block;
  fetch(span.param, begin, count);
  fetch(span.grad, begin, count);
  fetch(span.average, begin, count);
  fetch(span.copy, begin, count);
  for (size_t k = 0; k < max_slots && span.slots[k].data; ++k) fetch(span.slots[k], begin, count);
}

}  // namespace
}  // namespace gradstep
