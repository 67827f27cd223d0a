// Which gradients the engine can read as they are, of arrays and of tensors.
#pragma once

#include <pybind11/numpy.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/dlpack.hpp"
#include "bindings/gradients.hpp"
#include "bindings/intervals.hpp"
#include "bindings/tensors.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

namespace py = pybind11;

// The tensor that a parameter is, or of which it is a part.
struct Whole {
  std::vector<Py_intptr_t> shape;
  bool c_order;

  size_t size() const {
    size_t product = 1;
    for (const Py_intptr_t length : shape) product *= static_cast<size_t>(length);
    return product;
  }
};

// A parameter as it was handed over, and what is known of its gradient.
struct Seen {
  Seen(const py::array& array, DType dtype)
      : param(array, dtype), whole{param.shape(), param.c_contiguous()} {}
  ArrayView param;
  Whole whole;
  std::uint32_t gap = 0;  // between the optimizer's arrays in memory, where the last one lay
  Axes axes{};            // of one that does not lie as its parameter
  Axes numbers{};         // of the parameter's elements in C order, where it lies in the other
};

class Readable {
 public:
  // What steps write, which no gradient may lie on.
  Intervals& memory() { return memory_; }

  bool is_ndarray(PyObject* object) const {
    return reinterpret_cast<PyObject*>(Py_TYPE(object)) == ndarray_;
  }

  void learn(const py::array& array) { formats_.learn(array); }

  // Whether the engine can read a gradient, and write its parameter. Notes how it is stored.
  [[gnu::always_inline]] bool array(Tensor& tensor, Seen& seen, PyObject* grad) {
    if (!is_ndarray(grad)) return false;
    const ArrayView& param = seen.param;
    const auto* array = py::detail::array_proxy(grad);
    if (!param.unchanged()) return false;
    if (!param.matches(array)) return staged_array(tensor, seen, array);
    if (tensor.staged != tensor.narrow) note(tensor, 0, stored(tensor.dtype), nullptr);
    tensor.span.grad.data = array->data;
    return !memory_.overlaps(array->data, param.gradient_bytes(), seen.gap);
  }

  // The same of a gradient that is a tensor beside one that is the parameter.
  bool tensor(Tensor& tensor, Seen& seen, PyObject* grad, const WatchedTensor& param) {
    dlpack::Tensor given;
    if (!seen.param.unchanged() || !param.describe(grad, given) || !param.same_shape(given))
      return false;
    const std::optional<Format> format = dlpack::format_of(given);
    if (!format || (!given.data && tensor.span.size > 0)) return false;
    const size_t item = item_size(*format);
    std::array<Py_intptr_t, dlpack::most_axes> lengths, strides;
    const Strided elements{dlpack::first_byte(given), given.ndim, lengths.data(), strides.data(),
                           item};
    const bool in_order = param.lies_like(given);
    if (in_order && *format == stored(tensor.dtype)) {
      if (tensor.staged != tensor.narrow) note(tensor, 0, *format, nullptr);
    } else if (in_order) {
      note(tensor, grad_role, *format, nullptr);
    } else {
      if (given.ndim > dlpack::most_axes || dlpack::may_be_negated(given)) return false;
      for (int axis = 0; axis < given.ndim; ++axis) {
        lengths[axis] = static_cast<Py_intptr_t>(given.shape[axis]);
        strides[axis] = static_cast<Py_intptr_t>(given.strides[axis] * static_cast<int64_t>(item));
      }
      const auto order = [axes = param.order()](int k) { return axes[k]; };
      const bool scattered = set_axes(elements, order, seen.axes);
      const bool plain = !scattered && *format == stored(tensor.dtype);
      note(tensor, plain ? 0 : grad_role, *format, scattered ? &seen.axes : nullptr);
      if (tensor.span.size > 0) return apart(tensor, seen, elements);
    }
    // Of an empty tensor there is no address, and null stands for no gradient.
    tensor.span.grad.data = tensor.span.size > 0 ? dlpack::first_byte(given) : &nothing_;
    return !memory_.overlaps(tensor.span.grad.data, tensor.span.size * item, seen.gap);
  }

 private:
  [[gnu::noinline]] bool staged_array(Tensor& tensor, Seen& seen, const ArrayProxy* array) {
    const ArrayView& param = seen.param;
    const std::optional<Format> format = formats_.of(array->descr);
    if (!format || !param.same_shape(array)) return false;
    const Strided elements = strided(array, item_size(*format));
    const auto c_order = [](int k) { return k; };
    const auto fortran_order = [array](int k) { return array->nd - 1 - k; };
    const bool scattered = !param.in_this_order(array) &&
                           (param.c_contiguous() ? set_axes(elements, c_order, seen.axes)
                                                 : set_axes(elements, fortran_order, seen.axes));
    note(tensor, grad_role, *format, scattered ? &seen.axes : nullptr);
    return apart(tensor, seen, elements);
  }

  bool apart(Tensor& tensor, Seen& seen, const Strided& grad) {
    const auto [begin, bytes] = grad.extent();
    tensor.span.grad.data = const_cast<char*>(grad.data);
    return !memory_.overlaps(begin, bytes, seen.gap);
  }

  static void note(Tensor& tensor, std::uint32_t staged, Format format, const Axes* axes) {
    tensor.staged = tensor.narrow | staged;
    tensor.span.grad.format = format;
    tensor.axes = axes;
  }

  PyObject* ndarray_ = reinterpret_cast<PyObject*>(NumpyApi::get().PyArray_Type_);
  Intervals memory_;
  Formats formats_;
  char nothing_ = 0;
};

}  // namespace gradstep
