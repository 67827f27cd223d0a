// The one look at a step's arrays before it writes to them.
//
// It runs no Python code, so what it has seen holds while kernels run. A gradient that the engine
// cannot read is handed to `convert`, the Python function shared with the reference backend, which
// returns an array that it can read or raises the error the user sees. That may run anybody's code,
// so all are looked at again, and arrays on the memory of tensors made anew.
#pragma once

#include <pybind11/pybind11.h>

#include <stdexcept>
#include <vector>

#include "bindings/dlpack.hpp"
#include "bindings/held.hpp"
#include "bindings/tensors.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

namespace py = pybind11;

class Glance : public Held {
 public:
  explicit Glance(py::function convert) : convert_(std::move(convert)) {}

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

  py::function convert_;
  Exchange exchange_;
};

}  // namespace gradstep
