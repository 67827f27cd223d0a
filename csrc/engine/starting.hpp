// Steps that start from bits that were kept of parameters, and not from what these hold.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "engine/dispatch.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

// Whether the pass that updates parameters can put them there first, part by part: it comes to
// all of them, and nothing reads them before.
inline bool start_in_pass(const std::vector<Tensor>& tensors, const std::vector<Row>& rows) {
  return std::all_of(tensors.begin(), tensors.end(), [&](const Tensor& tensor) {
    if (!tensor.start) return true;
    const Row& row = rows[tensor.row];
    return present(tensor) && !tensor.factored && !row.cautious &&
           !std::isfinite(row.clip_adaptive) &&
           active_kernels().rules[row.rule].whole.derived_count == 0;
  });
}

// Puts elements [begin, end) where they start. Copies follow by the update.
inline void start(const Tensor& tensor, std::size_t begin, std::size_t end) {
  const std::size_t item = item_size(tensor.span.param.format);
  std::memcpy(static_cast<char*>(tensor.span.param.data) + begin * item,
              static_cast<const char*>(tensor.start) + begin * item, (end - begin) * item);
}

}  // namespace gradstep
