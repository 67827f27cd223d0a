// Parameters and their copies kept, bit for bit, before they are overwritten.
#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/copying.hpp"
#include "engine/param_table.hpp"
#include "engine/partition.hpp"
#include "engine/stage.hpp"

namespace gradstep {

// Calls act(from, to) for parts of a tensor's elements [begin, end): so small that an update finds
// in cache what has been copied just before, and that the memory both read is asked for in turn. Of
// turned gradients so many are loaded at once.
template <class Act>
void in_parts(const Tensor& tensor, std::size_t begin, std::size_t end, Act act) {
  const std::size_t part = tensor.axes && tensor.axes->turned ? turned_block : 256;
  for (std::size_t next; begin < end; begin = next) {
    next = std::min(end, at_border(tensor, begin + part));
    act(begin, next);
  }
}

// Of tensors that are all kept, or none.
class Keeper {
 public:
  Keeper(const Tensor* begin, const Tensor* end) : copier_(bytes(begin, end)) {}

  void keep(const Tensor& tensor, std::size_t begin, std::size_t end) const {
    keep(tensor.span.param, tensor.kept_param, begin, end);
    if (tensor.kept_copy) keep(tensor.span.copy, tensor.kept_copy, begin, end);
  }

  // At the end of what a thread keeps.
  void settle() const { copier_.settle(); }

 private:
  static std::size_t bytes(const Tensor* begin, const Tensor* end) {
    std::size_t all = 0;
    if (begin == end || !begin->kept_param) return all;
    for (; begin < end; ++begin) all += begin->span.size * item_size(begin->span.param.format);
    return all;
  }

  void keep(const Array& array, void* kept, std::size_t begin, std::size_t end) const {
    const std::size_t item = item_size(array.format);
    copier_.copy(static_cast<char*>(kept) + begin * item,
                 static_cast<const char*>(array.data) + begin * item, (end - begin) * item);
  }

  const Copier copier_;
};

}  // namespace gradstep
