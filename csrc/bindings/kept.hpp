// Arrays that steps keep the bits of parameters and their copies in, before they overwrite these.
#pragma once

#include <pybind11/numpy.h>

#include <vector>

#include "engine/param_table.hpp"

namespace gradstep {

// Of one tensor: for the parameter and, where there is one, its copy.
using Kept = std::vector<pybind11::array>;

inline void* memory_for(const pybind11::array& kept, const Array& of, std::size_t size) {
  if (static_cast<std::size_t>(kept.nbytes()) != size * item_size(of.format) ||
      !(kept.flags() & pybind11::array::c_style) || !kept.writeable())
    throw pybind11::value_error("kept arrays must be contiguous, writeable and as long as others");
  return pybind11::detail::array_proxy(kept.ptr())->data;
}

// The arrays have to live as long as the tensors. Without any nothing is kept.
inline void set_kept(std::vector<Tensor>& tensors, const std::vector<Kept>& kept) {
  if (kept.empty()) return;
  if (kept.size() != tensors.size())
    throw pybind11::value_error("params and what keeps them must be equally long");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    Tensor& tensor = tensors[i];
    if (kept[i].size() != (tensor.span.copy.data ? 2 : 1))
      throw pybind11::value_error("a parameter and its copy are kept in an array each");
    tensor.kept_param = memory_for(kept[i][0], tensor.span.param, tensor.span.size);
    if (tensor.span.copy.data)
      tensor.kept_copy = memory_for(kept[i][1], tensor.span.copy, tensor.span.size);
  }
}

}  // namespace gradstep
