// The loop over elements whose state lies in 8 bits. Codes are read in registers, beside the roots
// and quotients that a rule waits for. What becomes of a block is kept until its largest is known,
// and written while the next block waits.
#pragma once

#include "engine/element_loop.hpp"
#include "engine/fetch.hpp"
#include "engine/independent.hpp"
#include "engine/packing8.hpp"

namespace gradstep {
namespace {

// Which slots of a rule hold squares, or other numbers that steps divide by: bits, by their place.
template <class Rule, class = void>
constexpr unsigned squares = 0;
template <class Rule>
constexpr unsigned squares<Rule, std::void_t<decltype(Rule::squares)>> = Rule::squares;

template <const Code8& as>
struct CodedSlot {
  const uint8_t* codes;
  float* room;
  float scale;

  CodedSlot operator+(size_t i) const { return {codes + i, room + i, scale}; }
};

template <class Compute, const Code8& as>
inline Compute load(const CodedSlot<as>& slot) {
  return decode(as, *slot.codes, slot.scale);
}

template <class Compute, const Code8& as>
inline void store(const CodedSlot<as>& slot, Compute value) {
  *slot.room = value;
}

template <const Code8& as>
GRADSTEP_OUT_OF_LINE void encode(const float* values, size_t count, const DrawKey& key,
                                 uint8_t* codes, float* scale) {
  encode_block(as, values, count, key, codes, scale);
}

template <template <class> class Rule, size_t... K>
struct CodedBlocks {
  template <size_t k>
  static constexpr const Code8& as = squares<Rule<float>> >> k & 1 ? squares8 : moments8;

  explicit CodedBlocks(const Span& span) : span(span) {}

  template <Extras extras>
  void update(const SharedArithmetic<float>& shared, const Rule<float>& rule, size_t begin,
              size_t count) {
    float* const param = static_cast<float*>(span.param.data) + begin;
    const float* const grad = static_cast<const float*>(span.grad.data) + begin;
    float (*const to)[scale_block] = room[begin / scale_block % 2];
    if ((has_specials(span.slots[K], begin) || ...)) {
      (decode_block(as<K>, codes_of(span.slots[K], begin), *scale_of(span.slots[K], begin), count,
                    to[K]),
       ...);
      element_loop<extras, false, Plain<float>>(shared, rule, 1.0f, count, nullptr, param, grad,
                                                nullptr, to[K]...);
    } else {
      element_loop<extras, false, Plain<float>>(
          shared, rule, 1.0f, count, nullptr, param, grad, nullptr,
          CodedSlot<as<K>>{codes_of(span.slots[K], begin), to[K],
                           *scale_of(span.slots[K], begin)}...);
    }
  }

  void write(size_t begin, size_t count) {
    const float (*const from)[scale_block] = room[begin / scale_block % 2];
    (encode<as<K>>(from[K], count, span.draws.from(begin).of_array(slot_draws + K),
                   codes_of(span.slots[K], begin), scale_of(span.slots[K], begin)),
     ...);
  }

  const Span& span;
  alignas(64) float room[2][sizeof...(K)][scale_block];
};

template <template <class> class Rule, Extras extras, size_t... K>
inline void update_coded_slots(const void* coefficients, const Span& span, size_t begin, size_t end,
                               std::index_sequence<K...>) {
  const float* own = static_cast<const float*>(coefficients);
  const auto shared = read_shared(own, span);
  const auto rule = read_rule<Rule<float>>(own + shared_count, span.derived);
  CodedBlocks<Rule, K...> blocks(span);
  size_t before = 0;  // the length of the block before this one
  for (size_t count; begin < end; begin += count, before = count) {
    count = end - begin < scale_block ? end - begin : scale_block;
    fetch(span, begin);
    blocks.template update<extras>(shared, rule, begin, count);
    fetch(span, begin + fetch_block);
    if (before) blocks.write(begin - before, before);
  }
  if (before) blocks.write(begin - before, before);
}

template <template <class> class Rule, Extras extras>
void update_coded(const void* coefficients, const Span& span, size_t begin, size_t end) {
  update_coded_slots<Rule, extras>(coefficients, span, begin, end,
                                   std::make_index_sequence<Rule<float>::slots.size>{});
}

}  // namespace
}  // namespace gradstep
