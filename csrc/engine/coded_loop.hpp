// The loop over elements whose state lies in 8 bits. Codes are read in registers, beside the roots
// and quotients that a rule waits for; what becomes of them is kept until the largest of a block is
// known.
#pragma once

#include "engine/element_loop.hpp"
#include "engine/packing8.hpp"

namespace gradstep {
namespace {

struct CodedSlot {
  const uint8_t* codes;
  float* room;
  Code8 as;
  float scale;

  CodedSlot operator+(size_t i) const { return {codes + i, room + i, as, scale}; }
};

template <class Compute>
inline Compute load(const CodedSlot& slot) {
  return decode(slot.as, *slot.codes, slot.scale);
}

template <class Compute>
inline void store(const CodedSlot& slot, Compute value) {
  *slot.room = value;
}

template <template <class> class Rule, Extras extras, size_t... K>
inline void update_coded_slots(const void* coefficients, const Span& span, size_t begin, size_t end,
                               std::index_sequence<K...>) {
  const float* own = static_cast<const float*>(coefficients);
  const auto shared = read_shared(own, span);
  const auto rule = read_coefficients<Rule<float>>(own + shared_count);
  const auto param = static_cast<float*>(span.param.data);
  const auto grad = static_cast<const float*>(span.grad.data);
  alignas(64) float room[sizeof...(K)][scale_block];
  for (; begin < end; begin += scale_block) {
    const size_t count = end - begin < scale_block ? end - begin : scale_block;
    float* const p = param + begin;
    const float* const g = grad + begin;
    if ((has_specials(span.slots[K], begin) || ...)) {
      (decode_block(span.slots[K], begin, count, room[K]), ...);
      element_loop<extras, false, Plain<float>>(shared, rule, 1.0f, count, nullptr, p, g, nullptr,
                                                room[K]...);
    } else {
      element_loop<extras, false, Plain<float>>(
          shared, rule, 1.0f, count, nullptr, p, g, nullptr,
          CodedSlot{codes_of(span.slots[K], begin), room[K], code_of(span.slots[K]),
                    *scale_of(span.slots[K], begin)}...);
    }
    (encode_block(span.slots[K], begin, count, room[K]), ...);
  }
}

template <template <class> class Rule, Extras extras>
void update_coded(const void* coefficients, const Span& span, size_t begin, size_t end) {
  update_coded_slots<Rule, extras>(coefficients, span, begin, end,
                                   std::make_index_sequence<Rule<float>::slots.size>{});
}

}  // namespace
}  // namespace gradstep
