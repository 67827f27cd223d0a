// The flat range of all elements of all tensors, cut into chunks that threads take.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/parallel.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

// Of what is counted up in `ends`, which one holds number `unit`.
inline std::size_t tensor_at(const std::vector<std::size_t>& ends, std::size_t unit) {
  return std::upper_bound(ends.begin(), ends.end(), unit) - ends.begin();
}

// `index` moved on to the next element that starts a cache line of the parameter, or a block of the
// stage where that writes.
inline std::size_t at_border(const Tensor& tensor, std::size_t index) {
  if (tensor.staged & ~grad_role)
    return std::min((index + norm_block - 1) / norm_block * norm_block, tensor.span.size);
  constexpr std::size_t cache_line = 64;
  const std::size_t per_line = cache_line / item_size(tensor.span.param.format);
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.span.param.data);
  const std::size_t lead = (address % cache_line) / item_size(tensor.span.param.format);
  return std::min((index + lead + per_line - 1) / per_line * per_line - lead, tensor.span.size);
}

class Partition {
 public:
  // `ends` is room for the number of elements in all tensors up to each.
  Partition(const Tensor* begin, const Tensor* end, std::vector<std::size_t>& ends,
            const Crew& crew)
      : begin_(begin), end_(end), ends_(ends) {
    std::size_t work = 0;
    for (const Tensor* tensor = begin; tensor < end; ++tensor)
      work += elements(*tensor) * tensor->cost;
    division_ = crew.divide(work);
    if (division_.chunks == 1) return;
    ends.clear();
    for (const Tensor* tensor = begin; tensor < end; ++tensor)
      ends.push_back(total_ += elements(*tensor));
  }

  Division division() const { return division_; }

  // Calls run(tensor, begin, end) for every part of a chunk, in order.
  template <class Run>
  void chunk(int number, Run run) const {
    const Border from = border(number), to = border(number + 1);
    const Tensor* last = std::min(to.tensor + 1, end_);
    for (const Tensor* tensor = from.tensor; tensor < last; ++tensor) {
      if (!present(*tensor)) continue;
      const std::size_t begin = tensor == from.tensor ? from.index : 0;
      const std::size_t end = tensor == to.tensor ? to.index : tensor->span.size;
      if (begin < end) run(*tensor, begin, end);
    }
  }

 private:
  struct Border {
    const Tensor* tensor;
    std::size_t index;
  };

  static std::size_t elements(const Tensor& tensor) {
    return present(tensor) ? tensor.span.size : 0;
  }

  Border border(int chunk) const {
    if (chunk == 0) return {begin_, 0};
    const std::size_t chunks = division_.chunks;
    if (chunk == division_.chunks) return {end_, 0};
    const std::size_t unit = total_ / chunks * chunk + total_ % chunks * chunk / chunks;
    const std::size_t t = tensor_at(ends_, unit);
    const std::size_t start = ends_[t] - begin_[t].span.size;
    return {begin_ + t, unit == start ? 0 : at_border(begin_[t], unit - start)};
  }

  const Tensor *begin_, *end_;
  const std::vector<std::size_t>& ends_;
  std::size_t total_ = 0;  // elements; needed, as ends_ is, where there are several chunks
  Division division_;
};

}  // namespace gradstep
