// The one look at a step's arrays before it writes to them.
//
// It runs no Python code, so what it has seen holds while kernels run. A gradient that the engine
// cannot read is handed to `convert`, the Python function shared with the reference backend, which
// returns an array that it can read or raises the error the user sees. That may run anybody's code,
// so all are looked at again, and arrays on the memory of tensors made anew.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/dlpack.hpp"
#include "bindings/gradients.hpp"
#include "bindings/intervals.hpp"
#include "bindings/readable.hpp"
#include "bindings/stored_array.hpp"
#include "bindings/tensors.hpp"
#include "engine/factored.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

namespace py = pybind11;

class Glance {
 public:
  explicit Glance(py::function convert) : convert_(std::move(convert)) {}

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
    const ArrayView& view = seen_[i].param;
    tensor.units = view.units(first);
    tensor.alternating = tensor.units > 1 && view.c_contiguous() != first;
  }

  // Once all have been added.
  void settle(std::vector<Tensor>& tensors) {
    readable_.memory().sort();
    for (size_t i = 0; i < tensors.size(); ++i)
      if (!seen_[i].param.c_contiguous()) tensors[i].numbers = &(seen_[i].numbers = c_order(i));
  }

  // Sets the gradients of the tensors from number `first` on and lists in `absent` those that
  // have none. Puts arrays in the place of those that it cannot take as they are; the tuple must
  // live as long as the addresses are used. So must what is returned, all that was made on the way:
  // to let go of it may run anybody's code. With `of` the parameters are those tensors', and
  // gradients may be tensors that are read without an array.
  std::vector<py::tuple> take(std::vector<Tensor>& tensors, size_t first, py::tuple& grads,
                              std::vector<size_t>& absent, const Tensors* of = nullptr) {
    std::vector<py::tuple> held;
    py::tuple given = grads;
    bool ran = false;
    for (int look = 1; ran || !look_at(tensors, first, grads, absent, of); ++look) {
      if (look == most_looks) throw std::runtime_error(unsettled);
      if (of) of->check();
      held.push_back(given);
      held.push_back(grads);
      ran = convert(tensors, first, given, grads, of);
      held.push_back(given);
    }
    if (of) of->check();
    return held;
  }

 private:
  // Gradients are settled at the second look, or the third where a conversion changed another one.
  static constexpr int most_looks = 8;
  static constexpr char unsettled[] =
      "the gradients change while they are read; leave them alone until the step has returned";

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

  // The C-order number of the elements of a parameter that lies in the other order.
  Axes c_order(size_t i) const {
    Axes axes{};
    size_t stride = seen_[i].param.size();
    for (const Py_intptr_t length : seen_[i].param.shape()) {
      if (length > 0) stride /= static_cast<size_t>(length);
      axes.of.insert(axes.of.begin(),
                     {static_cast<size_t>(length), static_cast<Py_intptr_t>(stride)});
    }
    return axes;
  }

  // False where a gradient cannot be read, or its parameter and state not written, as they are.
  bool look_at(std::vector<Tensor>& tensors, size_t first, const py::tuple& grads,
               std::vector<size_t>& absent, const Tensors* of) {
    if (!of)
      return look_with(tensors, first, grads, absent,
                       [this](Tensor& tensor, Seen& seen, PyObject* grad, size_t) {
                         return readable_.array(tensor, seen, grad);
                       });
    return look_with(tensors, first, grads, absent,
                     [this, of](Tensor& tensor, Seen& seen, PyObject* grad, size_t i) {
                       return of->is_tensor(grad)
                                  ? readable_.tensor(tensor, seen, grad, of->param(i))
                                  : readable_.array(tensor, seen, grad);
                     });
  }

  template <class Read>
  bool look_with(std::vector<Tensor>& tensors, size_t first, const py::tuple& grads,
                 std::vector<size_t>& absent, Read read) {
    absent.clear();
    const auto count = static_cast<size_t>(PyTuple_GET_SIZE(grads.ptr()));
    const bool all_writeable = writeable_beside(first, first + count);
    PyObject* const* const items = PySequence_Fast_ITEMS(grads.ptr());
    Tensor* tensor = tensors.data() + first;
    Seen* seen = seen_.data() + first;
    for (size_t i = first; i < first + count; ++i, ++tensor, ++seen) {
      PyObject* grad = items[i - first];
      if (grad == Py_None) {
        tensor->span.grad.data = nullptr;
        absent.push_back(i);
        continue;
      }
      if (!read(*tensor, *seen, grad, i) || !(all_writeable || writeable_beside(i, i + 1)))
        return false;
    }
    return true;
  }

  // Sets `arrays` to the given gradients, with arrays in the place of tensors. Where one cannot be
  // taken as it is, what Python's reader makes of it is given from then on. Returns whether Python
  // code has run, after which all must be read once more.
  bool convert(std::vector<Tensor>& tensors, size_t first, py::tuple& given, py::tuple& arrays,
               const Tensors* of) {
    const size_t count = given.size();
    py::tuple next(count), read(count);
    bool ran = false;
    // Asked of all before any is read: what is asked of a tensor may run anybody's code, too.
    std::vector<bool> offered(count);
    for (size_t i = 0; i < count; ++i) {
      const py::object grad = given[i];
      if (of || grad.is_none() || readable_.is_ndarray(grad.ptr())) continue;
      ran |= exchange_.meet(grad.ptr());
      offered[i] = exchange_.offers(grad.ptr());
    }
    for (size_t i = 0; i < count; ++i) {
      const size_t t = first + i;
      py::object grad = given[i], array = grad;
      if (of && of->is_tensor(grad.ptr()) &&
          readable_.tensor(tensors[t], seen_[t], grad.ptr(), of->param(t))) {
        next[i] = grad;
        read[i] = std::move(grad);
        continue;
      }
      if (!of && !grad.is_none() && !readable_.is_ndarray(grad.ptr())) {
        py::object view;
        if (offered[i] && (view = exchange_.view(grad.ptr()))) {
          array = std::move(view);
        } else if ((view = buffer_view(grad.ptr()))) {
          array = grad = std::move(view);
          ran = true;
        }
      }
      if (!grad.is_none() &&
          !(readable_.array(tensors[t], seen_[t], array.ptr()) && writeable_beside(t, t + 1))) {
        readable_.learn(array = grad = convert_(t, grad));
        ran = true;
      }
      next[i] = std::move(grad);
      read[i] = std::move(array);
    }
    given = std::move(next);
    arrays = std::move(read);
    return ran;
  }

  // Whether what goes with parameters [first, last) is.
  bool writeable_beside(size_t first, size_t last) const {
    return Beside::unchanged(beside_.data() + beside_from_[first],
                             beside_.data() + beside_from_[last]) &&
           (copies_.empty() || ArrayView::in_shape(copies_.data() + copies_from_[first],
                                                   copies_.data() + copies_from_[last]));
  }

  py::function convert_;
  std::vector<Seen> seen_;
  std::vector<Beside> beside_;          // all that steps write beside tensors' parameters
  std::vector<size_t> beside_from_{0};  // where those of each begin
  std::deque<Factored> factored_;
  std::vector<ArrayView> copies_;  // of all tensors that have one
  std::vector<size_t> copies_from_{0};
  Exchange exchange_;
  Readable readable_;
};

}  // namespace gradstep
