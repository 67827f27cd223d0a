// The arrays of a table: parameters, and what steps write beside them.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/readable.hpp"
#include "bindings/stored_array.hpp"
#include "engine/factored.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

namespace py = pybind11;

class Held {
 public:
  // The tensor of a parameter, of the arrays that go element by element with it, of those that hold
  // a scalar of it, and of its copy in half precision. Each is an array, or what StoredArray reads;
  // None: there is none. `key` stands for the parameter where rounding draws.
  Tensor add(const py::object& param, const std::vector<py::object>& slots,
             const std::vector<py::object>& scalars, const py::object& average,
             const py::object& copy, std::uint64_t key) {
    if (slots.size() > max_slots || scalars.size() > max_scalars)
      throw py::value_error("too many state slots");
    Tensor tensor{};
    const StoredArray given(param);
    readable_.learn(given.array);
    seen_.emplace_back(given.array, compute_type(given.format));
    const ArrayView& view = seen_.back().param;
    tensor.dtype = view.dtype();
    tensor.span.size = view.size();
    tensor.span.limit = 1;
    tensor.span.param = {view.data(), nullptr, given.format};
    readable_.memory().add(view.data(), view.bytes());
    lay_beside(tensor.span.param, given);
    tensor.span.grad.format = stored(view.dtype());
    for (size_t k = 0; k < slots.size(); ++k) {
      if (k == 0 && py::hasattr(slots[k], "rows"))
        tensor.factored = factored(view, slots[k]);
      else
        tensor.span.slots[k] = along(view, slots[k]);
    }
    for (size_t k = 0; k < scalars.size(); ++k) tensor.scalars[k] = scalar(scalars[k]);
    tensor.span.average = along(view, average);
    tensor.span.copy = copy_along(view, copy);
    tensor.staged = tensor.narrow = narrow_roles(tensor);
    tensor.key = key;
    beside_from_.push_back(beside_.size());
    copies_from_.push_back(copies_.size());
    return tensor;
  }

  // What the units of tensor number `i` are: slices along its first axis, or its last.
  void set_units(Tensor& tensor, size_t i, bool first) const {
    const Whole& whole = seen_[i].whole;
    const bool several = whole.shape.size() > 1 && whole_size(tensor) > 0;
    const Py_intptr_t length = first ? whole.shape.front() : whole.shape.back();
    tensor.units = several ? static_cast<size_t>(length) : 1;
    tensor.alternating = tensor.units > 1 && whole.c_order != first;
  }

  // Once all have been added: of these parts, an object with the attributes first, shape and order
  // for each; None: of whole tensors.
  void settle(std::vector<Tensor>& tensors, const py::object& parts) {
    readable_.memory().sort();
    if (!parts.is_none()) set_parts(tensors, py::cast<py::sequence>(parts));
    for (size_t i = 0; i < tensors.size(); ++i)
      if (!seen_[i].whole.c_order) tensors[i].numbers = &(seen_[i].numbers = c_order(i));
  }

 protected:
  // Whether what goes with parameters [first, last) is.
  bool writeable_beside(size_t first, size_t last) const {
    return Beside::unchanged(beside_.data() + beside_from_[first],
                             beside_.data() + beside_from_[last]) &&
           (copies_.empty() || ArrayView::in_shape(copies_.data() + copies_from_[first],
                                                   copies_.data() + copies_from_[last]));
  }

 private:
  // An array of one element for each of the parameter's.
  Array along(const ArrayView& param, const py::object& object) {
    if (object.is_none()) return {};
    const StoredArray given(object);
    const auto* proxy = py::detail::array_proxy(given.array.ptr());
    if (!readable_.is_ndarray(given.array.ptr()) || !param.same_shape(proxy) ||
        !param.in_this_order(proxy) || (is_plain(given.format) && !param.matches(proxy)))
      throw py::value_error("state must have its parameter's shape, order and compute type");
    if (!given.array.writeable()) throw py::value_error("state must be writeable");
    Array array{watched(given.array), nullptr, given.format};
    lay_beside(array, given);
    return array;
  }

  // What has the attributes rows and columns: an array of a compute type for each.
  Factored* factored(const ArrayView& param, const py::object& object) {
    const std::vector<Py_intptr_t>& shape = param.shape();
    if (shape.size() < 2 || param.size() == 0 || (shape.size() > 2 && !param.c_contiguous()))
      throw py::value_error("factors go with matrices in row-major order");
    const auto columns = static_cast<size_t>(shape.back());
    const auto rows = static_cast<size_t>(shape[shape.size() - 2]);
    const size_t matrices = param.size() / (rows * columns);
    void* const of_rows = factor(param, object.attr("rows"), matrices * rows);
    void* const of_columns = factor(param, object.attr("columns"), matrices * columns);
    if (param.c_contiguous())
      factored_.emplace_back(param.dtype(), of_rows, of_columns, matrices, rows, columns, true);
    else
      factored_.emplace_back(param.dtype(), of_columns, of_rows, matrices, columns, rows, false);
    return &factored_.back();
  }

  void* factor(const ArrayView& param, const py::object& object, size_t size) {
    const auto array = py::cast<py::array>(object);
    const bool c_order = array.flags() & py::array::c_style;
    if (static_cast<size_t>(array.size()) != size || dtype_of(array) != param.dtype() || !c_order ||
        !array.writeable())
      throw py::value_error("factors must be writeable, contiguous and of the compute type");
    return watched(array);
  }

  double* scalar(const py::object& object) {
    const auto array = py::cast<py::array>(object);
    if (!readable_.is_ndarray(array.ptr()) || array.size() != 1 || dtype_of(array) != float64)
      throw py::value_error("a scalar of the state must be an array of one float64");
    if (!array.writeable()) throw py::value_error("state must be writeable");
    return static_cast<double*>(watched(array));
  }

  // The same of one that users hold, who may change it as they may a parameter.
  Array copy_along(const ArrayView& param, const py::object& object) {
    if (object.is_none()) return {};
    copies_.emplace_back(StoredArray(object).array, param.dtype());
    return along(param, object);
  }

  void lay_beside(Array& array, const StoredArray& given) {
    if (!given.beside.is_none()) array.beside = watched(py::cast<py::array>(given.beside));
  }

  // The address of an array that a step writes.
  void* watched(const py::array& array) {
    void* data = py::detail::array_proxy(array.ptr())->data;
    readable_.memory().add(data, static_cast<size_t>(array.nbytes()));
    beside_.emplace_back(array);
    return data;
  }

  void set_parts(std::vector<Tensor>& tensors, const py::sequence& parts) {
    if (parts.size() != tensors.size()) throw py::value_error("one part per tensor");
    for (size_t i = 0; i < tensors.size(); ++i) {
      const py::object part = parts[i];
      Whole& whole = seen_[i].whole;
      whole.shape = py::cast<std::vector<Py_intptr_t>>(part.attr("shape"));
      whole.c_order = py::cast<std::string>(part.attr("order")) == "C";
      const size_t first = py::cast<size_t>(part.attr("first"));
      const size_t end = first + tensors[i].span.size;
      const bool in_blocks = first == end || (first % norm_block == 0 &&
                                              (end % norm_block == 0 || end == whole.size()));
      if (seen_[i].param.shape().size() != 1 || !in_blocks || first > whole.size() ||
          end > whole.size())
        throw py::value_error("elements [" + std::to_string(first) + ", " + std::to_string(end) +
                              ") of " + std::to_string(whole.size()) +
                              " are no part; expected one axis, and borders at multiples of " +
                              std::to_string(norm_block) + " elements or at the end");
      tensors[i].before = first;
      tensors[i].after = whole.size() - end;
    }
  }

  // The C-order number of the elements of a tensor that lies in the other order.
  Axes c_order(size_t i) const {
    Axes axes{};
    size_t stride = seen_[i].whole.size();
    for (const Py_intptr_t length : seen_[i].whole.shape) {
      if (length > 0) stride /= static_cast<size_t>(length);
      axes.of.insert(axes.of.begin(),
                     {static_cast<size_t>(length), static_cast<Py_intptr_t>(stride)});
    }
    return axes;
  }

 protected:
  std::vector<Seen> seen_;
  std::vector<Beside> beside_;          // all that steps write beside tensors' parameters
  std::vector<size_t> beside_from_{0};  // where those of each begin
  std::deque<Factored> factored_;
  std::vector<ArrayView> copies_;  // of all tensors that have one
  std::vector<size_t> copies_from_{0};
  Readable readable_;
};

}  // namespace gradstep
