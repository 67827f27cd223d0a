// Steps of a rule over one array at a time, with nothing kept of arrays from call to call.
//
// What is handed over is looked at and written in the same call, which holds Python's lock: whoever
// shares arrays or counts with another thread finds them before a step or after it.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/gradients.hpp"
#include "bindings/ran_on.hpp"
#include "bindings/row_reader.hpp"
#include "engine/denormals.hpp"
#include "engine/dispatch.hpp"
#include "engine/limits.hpp"
#include "engine/update.hpp"

namespace py = pybind11;

namespace gradstep {
namespace {

// Arrays that can be written as they are, all of the first one's dtype and size, and apart.
class Written {
 public:
  // Returns null for one that is not.
  const ArrayProxy* read(PyObject* object) {
    if (reinterpret_cast<PyObject*>(Py_TYPE(object)) !=
        reinterpret_cast<PyObject*>(NumpyApi::get().PyArray_Type_))
      return nullptr;
    const ArrayProxy* array = py::detail::array_proxy(object);
    if ((array->flags & needed) != needed) return nullptr;
    size_t size = 1;
    for (int axis = 0; axis < array->nd; ++axis)
      size *= static_cast<size_t>(array->dimensions[axis]);
    const int type = type_of(array);
    if (count_ == 0 && (type == NumpyApi::NPY_FLOAT_ || type == NumpyApi::NPY_DOUBLE_)) {
      type_ = type;
      size_ = size;
    }
    if (type != type_ || size != size_ || count_ == most) return nullptr;
    begins_[count_++] = array->data;
    return array;
  }

  DType dtype() const { return type_ == NumpyApi::NPY_FLOAT_ ? float32 : float64; }
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * item_size(dtype()); }

  bool apart() {
    std::sort(begins_.begin(), begins_.begin() + count_);
    for (size_t i = 1; i < count_; ++i)
      if (begins_[i] < begins_[i - 1] + bytes()) return false;
    return true;
  }

 private:
  static constexpr size_t most = max_slots + 3;
  static constexpr int needed = NumpyApi::NPY_ARRAY_C_CONTIGUOUS_ | NumpyApi::NPY_ARRAY_ALIGNED_ |
                                NumpyApi::NPY_ARRAY_WRITEABLE_;

  // NumPy's number of the type; -1 for one in another byte order. Arrays that were pickled have
  // other objects for the same dtype.
  static int type_of(const ArrayProxy* array) {
    const auto* descr = py::detail::array_descriptor_proxy(array->descr);
    return descr->byteorder == '=' ? descr->type_num : -1;
  }

  std::array<const char*, most> begins_;
  size_t count_ = 0, size_ = 0;
  int type_ = NumpyApi::NPY_VOID_;  // float32 or float64, once there is one
};

// What a step works in is kept for the next one. Nobody else is in there: the lock is held, and
// from the look at the arrays on nothing runs Python code.
class ArrayStep {
 public:
  // Before the rule, penalty·p is added to the gradient, and then its norm is limited.
  ArrayStep(const std::string& rule, double penalty, double clip_norm)
      : rule_(rule_named(rule)),
        reader_(active_kernels().rules[rule_]),
        penalty_(penalty),
        clip_norm_(clip_norm) {
    if (active_kernels().rules[rule_].whole.derived_count)
      throw py::value_error("this rule's steps depend on whole tensors");
    row_.rule = rule_;
  }

  // Updates the parameter, its state and its average, sets the gradient to zero, and
  // counts[key] to `count`. False where an array cannot be taken as it is: nothing is done then.
  bool take(const py::object& row, py::handle param, py::handle grad, const py::tuple& slots,
            py::handle average, const py::dict& counts, py::handle key, py::handle count) {
    const RuleInfo& rule = active_kernels().rules[rule_];
    if (slots.size() != rule.slot_count) throw py::value_error("the rule has other state slots");
    read_row(row);
    Tensor& tensor = tensors_[0] = {};
    if (!read(tensor, param.ptr(), grad.ptr(), slots, average)) return false;
    tensor.cost = element_cost(rule, tensor.dtype);
    rows_[0] = row_;
    if (penalty_ != 0) add_penalty(tensor);
    const Crew crew(PoolKind::parking, tensor.span.size * tensor.cost);
    if (std::isfinite(clip_norm_)) {
      workspace_.measures.clear();
      const double norm = std::sqrt(sum_of_squares(tensors_, workspace_, crew));
      if (norm >= clip_norm_) rows_[0].shared[grad_scale] *= clip_norm_ / norm;
    }
    const char* isa = update(tensors_, 0, 1, rows_, workspace_, crew);
    last_ran_on = {isa, crew.kind(), crew.threads_used()};
    std::memset(tensor.span.grad.data, 0, tensor.span.size * item_size(tensor.dtype));
    if (PyDict_SetItem(counts.ptr(), key.ptr(), count.ptr()) < 0) throw py::error_already_set();
    return true;
  }

 private:
  // That of the call before is kept, and so is known by its address.
  void read_row(const py::object& row) {
    if (row.is(last_row_)) return;
    last_row_ = py::none();
    reader_.read(row.ptr(), 1.0, row_);
    last_row_ = row;
  }

  static bool read(Tensor& tensor, PyObject* param, PyObject* grad, const py::tuple& slots,
                   py::handle average) {
    Written written;
    const ArrayProxy *own = written.read(param), *given = own ? written.read(grad) : nullptr;
    if (!given || own->nd != given->nd ||
        !std::equal(own->dimensions, own->dimensions + own->nd, given->dimensions))
      return false;
    const Format format = stored(tensor.dtype = written.dtype());
    tensor.span.param = {own->data, nullptr, format};
    tensor.span.grad = {given->data, nullptr, format};
    tensor.span.size = written.size();
    tensor.span.limit = 1;
    tensor.units = 1;
    for (size_t k = 0; k < slots.size(); ++k) {
      const ArrayProxy* slot = written.read(PyTuple_GET_ITEM(slots.ptr(), k));
      if (!slot) return false;
      tensor.span.slots[k] = {slot->data, nullptr, format};
    }
    if (!average.is_none()) {
      const ArrayProxy* array = written.read(average.ptr());
      if (!array) return false;
      tensor.span.average = {array->data, nullptr, format};
    }
    return written.apart();
  }

  void add_penalty(const Tensor& tensor) const {
    const StandardArithmetic standard;
    if (tensor.dtype == float32)
      add_penalty<float>(tensor.span);
    else
      add_penalty<double>(tensor.span);
  }

  template <class T>
  void add_penalty(const Span& span) const {
    const T penalty = static_cast<T>(penalty_);
    const T* const param = static_cast<const T*>(span.param.data);
    T* const grad = static_cast<T*>(span.grad.data);
    for (size_t i = 0; i < span.size; ++i) grad[i] += penalty * param[i];
  }

  const size_t rule_;
  RowReader reader_;
  const double penalty_, clip_norm_;
  py::object last_row_ = py::none();
  Row row_{};
  std::vector<Row> rows_{1};
  std::vector<Tensor> tensors_{1};
  Workspace workspace_;
};

}  // namespace

void register_array_step(py::module_& module) {
  py::class_<ArrayStep>(module, "ArrayStep")
      .def(py::init<const std::string&, double, double>(), py::arg("rule"), py::arg("penalty"),
           py::arg("clip_norm"))
      .def("take", &ArrayStep::take, py::arg("row"), py::arg("param"), py::arg("grad"),
           py::arg("slots"), py::arg("average"), py::arg("counts"), py::arg("key"),
           py::arg("count"));
}

}  // namespace gradstep
