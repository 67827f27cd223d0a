// Which tensors are measured and updated before the next ones are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "engine/dispatch.hpp"
#include "engine/parallel.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

// What sums are taken of is read again by the update. So many tensors are measured and updated
// before the next that what the first reading has brought into cache is mostly there.
class Batches {
 public:
  Batches(const std::vector<Row>& rows, const KernelTable& kernels) {
    const auto reads_first = [&](const Row& row) {
      const RuleInfo& rule = kernels.rules[row.rule];
      return rule.of_factors || rule.whole.sum_count || row.cautious;
    };
    const auto of_all = [&](const Row& row) { return kernels.rules[row.rule].whole.of_all; };
    several_ = std::any_of(rows.begin(), rows.end(), reads_first) &&
               std::none_of(rows.begin(), rows.end(), of_all);
  }

  // Of the batch of [begin, last) that begins there.
  Tensor* end(Tensor* begin, Tensor* last, const Crew& crew) const {
    if (!several_) return last;
    constexpr std::size_t elements_of_thread = 262144;
    const std::size_t most = elements_of_thread * crew.divide(~std::size_t{0}).threads;
    for (std::size_t elements = 0; begin < last && elements < most; ++begin)
      if (present(*begin)) elements += begin->span.size;
    return begin;
  }

 private:
  bool several_;
};

}  // namespace gradstep
