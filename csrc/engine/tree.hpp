// Sums over a fixed binary tree, whose bits depend neither on who adds which of its branches nor on
// threads or instruction sets.
//
// The leaves are numbered. Those of [lo, hi) give node(lo, mid) + node(mid, hi), where mid is lo
// and the largest power of two below hi - lo. Branches that have been summed before take part as
// what they gave.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/kernel_table.hpp"

namespace gradstep {

// The sum over the leaves from number `first` up to where the next branch begins.
struct Branch {
  const void* data;
  Format format;  // bfloat16 or float32; or float64
  std::size_t first;
};

// Branches that no node has for its own are none of the tree; then it is false.
bool are_branches(const std::vector<Branch>& branches, std::size_t last);

// Adds up `branches`, whose leaves are all up to number `last`, of `size` elements each. `to` is of
// their compute type, or bfloat16, which it is rounded to. It may be the memory of a branch in the
// same format. With `narrow` all branches are rounded to bfloat16, and all sums but the last.
void sum_tree(const std::vector<Branch>& branches, std::size_t last, std::size_t size, bool narrow,
              void* to, Format format);

}  // namespace gradstep
