// Arrays that steps keep the bits of parameters and their copies in, before they overwrite these;
// and that later ones start from.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <utility>
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

// What the next step starts from, as long as parameters are elsewhere.
class Start {
 public:
  using Bits = std::vector<std::optional<pybind11::array>>;

  // Of every tensor its parameter's bits, or none where it is not elsewhere. As long as they are
  // `displaced` is not empty: it has a function that puts them back and empties it.
  void set(const std::vector<Tensor>& tensors, Bits bits, pybind11::list displaced) {
    if (bits.size() != tensors.size())
      throw pybind11::value_error("params and what they start from must be equally long");
    for (std::size_t i = 0; i < bits.size(); ++i)
      if (bits[i]) memory_for(*bits[i], tensors[i].span.param, tensors[i].span.size);
    bits_ = std::move(bits);
    displaced_ = std::move(displaced);
  }

  bool is_ahead() const { return !displaced_.empty(); }

  void put_back() const {
    const pybind11::object back = displaced_[0];
    back();
  }

  void show(std::vector<Tensor>& tensors) const {
    for (std::size_t i = 0; i < bits_.size(); ++i)
      if (bits_[i]) tensors[i].start = pybind11::detail::array_proxy(bits_[i]->ptr())->data;
  }

  void reached() const {
    if (PyList_SetSlice(displaced_.ptr(), 0, PY_SSIZE_T_MAX, nullptr) != 0)
      throw pybind11::error_already_set();
  }

 private:
  Bits bits_;
  pybind11::list displaced_;
};

// While a step starts from there, where it does.
class Starting {
 public:
  Starting(const Start& start, std::vector<Tensor>& tensors)
      : start_(start.is_ahead() ? &start : nullptr), tensors_(tensors) {
    if (start_) start_->show(tensors_);
  }
  ~Starting() { end(); }
  Starting(const Starting&) = delete;
  Starting& operator=(const Starting&) = delete;

  explicit operator bool() const { return start_; }

  // In the place of what the step would do itself. Anybody's code may run.
  void put_back() {
    const Start& start = *start_;
    end();
    start.put_back();
  }

  // The step has been taken.
  void reached() const {
    if (start_) start_->reached();
  }

 private:
  void end() {
    if (!start_) return;
    for (Tensor& tensor : tensors_) tensor.start = nullptr;
    start_ = nullptr;
  }

  const Start* start_;
  std::vector<Tensor>& tensors_;
};

}  // namespace gradstep
