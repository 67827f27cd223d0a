// Kernels that convert in registers what is stored in fewer bits.
#pragma once

#include <utility>

#include "engine/param_table.hpp"

namespace gradstep {

inline std::pair<UpdateFn, std::uint32_t> pick(const RuleInfo& rule, Narrow narrow, Extras extras,
                                               std::uint32_t roles) {
  const UpdateFn update = rule.narrow_update[narrow][extras];
  return {update, update ? roles : 0};
}

inline bool state_in_bfloat16(const Tensor& tensor, const RuleInfo& rule) {
  for (std::size_t k = 0; k < rule.slot_count; ++k)
    if (tensor.span.slots[k].format != Format::bfloat16_dithered) return false;
  return true;
}

inline bool state_in_8_bits(const Tensor& tensor, const RuleInfo& rule) {
  for (std::size_t k = 0; k < rule.slot_count; ++k) {
    const Format code = rule.squares >> k & 1 ? Format::squares8 : Format::moments8;
    if (tensor.span.slots[k].format != code) return false;
  }
  return true;
}

// A kernel that converts arrays of a staged tensor itself, and their roles; or null and none.
inline std::pair<UpdateFn, std::uint32_t> in_registers(const Tensor& tensor, const Row& row,
                                                       const RuleInfo& rule, Extras extras) {
  if (row.cautious || tensor.factored || tensor.dtype != float32) return {nullptr, 0};
  const std::uint32_t state = role_of_slot(rule.slot_count) - role_of_slot(0);
  const bool grad = tensor.span.grad.format == Format::bfloat16 && !tensor.axes && !tensor.factors;
  const bool narrow = !tensor.numbers && state_in_bfloat16(tensor, rule);
  const Format param = tensor.span.param.format;
  if (grad && narrow && param == Format::bfloat16)
    return pick(rule, bfloat16_all, extras, param_role | grad_role | state);
  if (grad && narrow && param == Format::bfloat16_split)
    return pick(rule, bfloat16_all_split, extras, param_role | grad_role | state);
  if (grad && narrow && state)
    return pick(rule, bfloat16_grad_and_state, extras, grad_role | state);
  if (grad && tensor.span.copy.data && tensor.span.copy.format == Format::bfloat16)
    return pick(rule, bfloat16_grad_and_copy, extras, grad_role | copy_role);
  if (grad) return pick(rule, bfloat16_grad, extras, grad_role);
  if (narrow) return pick(rule, bfloat16_state, extras, state);
  if (state && state_in_8_bits(tensor, rule)) return pick(rule, coded_state, extras, state);
  return {nullptr, 0};
}

}  // namespace gradstep
