// Arrays that a loop over elements converts in registers.
#pragma once

#include "engine/element_loop.hpp"
#include "engine/packing.hpp"

namespace gradstep {
namespace {

// Arrays that are converted in registers.
template <class At, class GradAs, class StateAs>
struct InRegisters {
  using Compute = float;
  using ParamAt = At;
  using Grad = GradAs;
  using State = StateAs;
  using Average = float;
  using Spread = std::conditional_t<std::is_same_v<StateAs, Bfloat16>, uint32_t, NotDithered>;
};

template <class Compute>
inline Compute load(const Bfloat16* from) {
  return static_cast<Compute>(*from);
}

template <class Compute>
inline void store(Bfloat16* to, Compute value) {
  to->bits = nearest(*to, value);
}

// State, which is dithered.
struct DitheredSlot {
  Bfloat16* at;
  uint32_t drawn;

  DitheredSlot operator+(size_t i) const { return {at + i, drawn}; }
};

inline DitheredSlot slot_at(Bfloat16* at, const DrawKey& key) { return {at, dither(key)}; }

template <class Compute>
inline Compute load(const DitheredSlot& slot) {
  return static_cast<Compute>(*slot.at);
}

template <class Compute>
inline void store_state(const DitheredSlot& slot, Compute value, uint32_t spread) {
  slot.at->bits = stochastic(*slot.at, value, (slot.drawn + spread) >> 16);
}

// A parameter in two halves.
struct SplitParam {
  uint16_t *upper, *lower;

  SplitParam(uint16_t* upper, uint16_t* lower) : upper(upper), lower(lower) {}
  explicit SplitParam(const Span& span)
      : SplitParam(halves(span.param.data, 0), halves(span.param.beside, 0)) {}
  SplitParam operator+(size_t i) const { return {upper + i, lower + i}; }
};

template <class Compute>
inline Compute load(const SplitParam& param) {
  return float_of(Split::join(*param.upper, *param.lower));
}

template <class Compute>
inline void store(const SplitParam& param, Compute value) {
  Split::split(bits_of(value), param.upper, param.lower);
}

// A parameter that is written to its copy, too.
struct CopiedParam {
  float* param;
  Bfloat16* copy;

  CopiedParam(float* param, Bfloat16* copy) : param(param), copy(copy) {}
  explicit CopiedParam(const Span& span)
      : CopiedParam(static_cast<float*>(span.param.data), static_cast<Bfloat16*>(span.copy.data)) {}
  CopiedParam operator+(size_t i) const { return {param + i, copy + i}; }
};

template <class Compute>
inline Compute load(const CopiedParam& param) {
  return *param.param;
}

template <class Compute>
inline void store(const CopiedParam& param, Compute value) {
  *param.param = value;
  store(param.copy, value);
}

template <template <class> class Rule, class S, Extras extras>
void update_in_registers(const void* coefficients, const Span& span, size_t begin, size_t end) {
  update_slots<Rule, S, extras, false, Parts::fetched>(
      coefficients, span, begin, end, std::make_index_sequence<Rule<float>::slots.size>{});
}

}  // namespace
}  // namespace gradstep
