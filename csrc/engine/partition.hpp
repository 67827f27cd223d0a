// The flat range of all elements of all tensors, cut into chunks that threads take.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/parallel.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

// ends[i] becomes the number of units (elements, blocks) in tensors 0..i; returns that of all.
template <class Count>
std::size_t accumulate(const std::vector<Tensor>& tensors, Count count,
                       std::vector<std::size_t>& ends) {
  ends.clear();
  std::size_t total = 0;
  for (const Tensor& tensor : tensors) ends.push_back(total += count(tensor));
  return total;
}

inline std::size_t tensor_at(const std::vector<std::size_t>& ends, std::size_t unit) {
  return std::upper_bound(ends.begin(), ends.end(), unit) - ends.begin();
}

class Partition {
 public:
  Partition(const std::vector<Tensor>& tensors, std::vector<std::size_t>& ends, const Crew& crew)
      : tensors_(tensors), ends_(ends) {
    std::size_t work = 0;
    for (const Tensor& tensor : tensors) work += elements(tensor) * tensor.cost;
    division_ = crew.divide(work);
    if (division_.chunks > 1) total_ = accumulate(tensors, elements, ends);
  }

  Division division() const { return division_; }

  // Calls run(tensor, begin, end) for every part of a chunk, in order.
  template <class Run>
  void chunk(int number, Run run) const {
    const Border from = border(number), to = border(number + 1);
    const std::size_t last = std::min(to.tensor + 1, tensors_.size());
    const Tensor* tensor = tensors_.data() + from.tensor;
    for (std::size_t t = from.tensor; t < last; ++t, ++tensor) {
      if (!present(*tensor)) continue;
      const std::size_t begin = t == from.tensor ? from.index : 0;
      const std::size_t end = t == to.tensor ? to.index : tensor->span.size;
      if (begin < end) run(t, begin, end);
    }
  }

 private:
  struct Border {
    std::size_t tensor, index;
  };

  static std::size_t elements(const Tensor& tensor) {
    return present(tensor) ? tensor.span.size : 0;
  }

  Border border(int chunk) const {
    if (chunk == 0) return {0, 0};
    const std::size_t chunks = division_.chunks;
    if (chunk == division_.chunks) return {tensors_.size(), 0};
    const std::size_t unit = total_ / chunks * chunk + total_ % chunks * chunk / chunks;
    const std::size_t tensor = tensor_at(ends_, unit);
    const std::size_t start = ends_[tensor] - tensors_[tensor].span.size;
    return {tensor, unit == start ? 0 : at_cache_line(tensors_[tensor], unit - start)};
  }

  // `index` moved on to the next element that starts a cache line of the parameter.
  static std::size_t at_cache_line(const Tensor& tensor, std::size_t index) {
    constexpr std::size_t cache_line = 64;
    const std::size_t per_line = cache_line / item_size(tensor.dtype);
    const auto address = reinterpret_cast<std::uintptr_t>(tensor.span.param);
    const std::size_t lead = (address % cache_line) / item_size(tensor.dtype);
    return std::min((index + lead + per_line - 1) / per_line * per_line - lead, tensor.span.size);
  }

  const std::vector<Tensor>& tensors_;
  const std::vector<std::size_t>& ends_;
  std::size_t total_ = 0;  // elements; needed, as ends_ is, where there are several chunks
  Division division_;
};

}  // namespace gradstep
