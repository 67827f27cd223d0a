// gradstep._native.ParamTable: NumPy arrays in, checked addresses out to the engine.
//
// A step first looks at all arrays at once, which runs no Python code, and only then writes. What
// can be read in place is taken at that glance. A gradient that cannot is handed to `convert`, the
// Python function shared with the reference backend, which returns an array that can be read in
// place or raises the error the user sees. It may run anybody's code, so all are looked at again.
#include "engine/param_table.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/gil.hpp"
#include "bindings/intervals.hpp"
#include "bindings/row_reader.hpp"
#include "engine/dispatch.hpp"
#include "engine/limits.hpp"

namespace py = pybind11;

namespace gradstep {
namespace {

// From so many tensors on threads are called before gradients are checked, as it takes a while.
constexpr size_t many = 32;
// Gradients are settled at the second look, or the third where a conversion changed another one.
constexpr int most_looks = 8;
constexpr char unsettled[] =
    "the gradients change while they are read; leave them alone until the step has returned";

// What the last step of this thread that was not skipped ran on.
struct RanOn {
  const char* isa;  // null: there was none
  PoolKind pool;
  int threads;
};
thread_local RanOn last_ran_on{};

class BoundTable {
 public:
  BoundTable(const std::vector<py::array>& params, const std::vector<std::vector<py::array>>& slots,
             const std::vector<py::object>& averages, py::function convert)
      : convert_(std::move(convert)) {
    if (slots.size() != params.size() || averages.size() != params.size())
      throw py::value_error("params, slots and averages must be equally long");
    for (size_t i = 0; i < params.size(); ++i) add(params[i], slots[i], averages[i]);
    if (std::any_of(params.begin(), params.end(), views_torch)) pool_ = PoolKind::openmp;
    memory_.sort();
    gaps_.resize(tensors_.size());
  }

  // Of every row its rule and whether it is cautious, and the row of every tensor.
  void assign(const std::vector<std::pair<std::string, bool>>& rules,
              const std::vector<std::uint32_t>& row_of) {
    if (row_of.size() != tensors_.size())
      throw py::value_error("row_of must have one entry per tensor");
    std::vector<Row> rows(rules.size());
    std::vector<RowReader> readers;
    const KernelTable& kernels = active_kernels();
    for (size_t r = 0; r < rules.size(); ++r) {
      rows[r].rule = rule_named(rules[r].first);
      rows[r].cautious = rules[r].second;
      const RuleInfo& rule = kernels.rules[rows[r].rule];
      if (rows[r].cautious && !rule.count_agreeing[float32])
        throw py::value_error("a rule without momentum cannot be cautious");
      readers.emplace_back(rule);
    }
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (row_of[i] >= rows.size()) throw py::value_error("row_of names a row that is not there");
      if (kernels.rules[rows[row_of[i]].rule].slot_count != slot_counts_[i])
        throw py::value_error("a tensor has not the state slots of its rule");
    }
    for (size_t i = 0; i < tensors_.size(); ++i) {
      tensors_[i].row = row_of[i];
      tensors_[i].cost = element_cost(kernels.rules[rows[row_of[i]].rule], tensors_[i].dtype);
    }
    work_ = 0;
    for (const Tensor& tensor : tensors_) work_ += tensor.span.size * tensor.cost;
    rows_ = std::move(rows);
    readers_ = std::move(readers);
  }

  py::tuple step(const py::object& leaves, const py::sequence& rows, double scale, bool with_norm,
                 bool skip_nonfinite) {
    auto grads = py::reinterpret_steal<py::tuple>(PySequence_Tuple(leaves.ptr()));
    if (!grads) throw py::error_already_set();
    read_rows(rows, scale);
    const Crew crew(pool_, work_);
    if (tensors_.size() > many) crew.call();
    std::vector<size_t> absent;
    for (int look = 1; !take(grads, absent); ++look) {
      if (look == most_looks) throw std::runtime_error(unsettled);
      grads = converted(grads);
    }
    double norm = 0;
    bool skipped = false;
    {
      const GilReleased released;
      if (with_norm) {
        norm = limit_gradients(tensors_, rows_, scale, workspace_, crew);
        skipped = skip_nonfinite && !std::isfinite(norm);
      } else {
        lift_limits(tensors_, workspace_);
      }
      if (!skipped) {
        const char* isa = update(tensors_, rows_, workspace_, crew);
        last_ran_on = {isa, crew.kind(), crew.threads_used()};
      }
    }
    if (!skipped) last_rows_ = rows;
    return py::make_tuple(with_norm ? py::object(py::float_(norm)) : py::none(), skipped,
                          absent.empty() ? none_absent_ : py::tuple(py::cast(absent)));
  }

  // The rows of the last step that was not skipped, and the tensors that it left out.
  py::tuple last_step() const {
    std::vector<size_t> absent;
    for (size_t i = 0; i < tensors_.size(); ++i)
      if (!present(tensors_[i])) absent.push_back(i);
    return py::make_tuple(last_rows_, absent);
  }

 private:
  void add(const py::array& param, const std::vector<py::array>& slots, const py::object& average) {
    Tensor tensor{};
    params_.emplace_back(param);
    const ArrayView& view = params_.back();
    tensor.dtype = view.dtype();
    tensor.span.param = view.data();
    tensor.span.size = view.size();
    tensor.units = view.units();
    tensor.alternating = tensor.units > 1 && view.c_contiguous();
    memory_.add(view.data(), view.bytes());
    if (slots.size() > max_slots) throw py::value_error("too many state slots");
    for (size_t k = 0; k < slots.size(); ++k) tensor.span.slots[k] = beside(view, slots[k]);
    if (!average.is_none()) tensor.span.average = beside(view, py::cast<py::array>(average));
    tensors_.push_back(tensor);
    slot_counts_.push_back(slots.size());
    beside_from_.push_back(beside_.size());
  }

  // The address of an array that goes element by element with a parameter.
  void* beside(const ArrayView& param, const py::array& array) {
    const ArrayView view(array);
    if (!is_ndarray(array.ptr()) || !param.matches(py::detail::array_proxy(array.ptr())))
      throw py::value_error("state must have its parameter's shape, dtype and order");
    memory_.add(view.data(), view.bytes());
    beside_.emplace_back(array);
    return view.data();
  }

  // Sets every tensor's gradient and lists those that have none; false where one cannot be read, or
  // its parameter and state not written, in place.
  bool take(const py::tuple& grads, std::vector<size_t>& absent) {
    if (grads.size() != tensors_.size())
      throw py::value_error("expected " + std::to_string(tensors_.size()) + " gradients, got " +
                            std::to_string(grads.size()));
    absent.clear();
    const bool all_writeable = Beside::unchanged(beside_);
    for (size_t i = 0, count = tensors_.size(); i < count; ++i) {
      PyObject* grad = PyTuple_GET_ITEM(grads.ptr(), static_cast<Py_ssize_t>(i));
      if (grad == Py_None) {
        tensors_[i].span.grad = nullptr;
        absent.push_back(i);
        continue;
      }
      if (!readable(i, grad) || !(all_writeable || writeable_beside(i))) return false;
      tensors_[i].span.grad = py::detail::array_proxy(grad)->data;
    }
    return true;
  }

  // The same gradients, with an array in the place of each that cannot be taken as it is.
  py::tuple converted(const py::tuple& grads) {
    py::tuple arrays(grads.size());
    for (size_t i = 0; i < grads.size(); ++i) {
      py::object grad = grads[i];
      if (!grad.is_none() && !(readable(i, grad.ptr()) && writeable_beside(i)))
        grad = convert_(i, grad);
      arrays[i] = std::move(grad);
    }
    return arrays;
  }

  bool readable(size_t i, PyObject* grad) {
    if (!is_ndarray(grad)) return false;
    const ArrayView& param = params_[i];
    const auto* array = py::detail::array_proxy(grad);
    return param.unchanged() && param.matches(array) &&
           !memory_.overlaps(array->data, param.bytes(), gaps_[i]);
  }

  bool writeable_beside(size_t i) const {
    for (size_t k = beside_from_[i]; k < beside_from_[i + 1]; ++k)
      if (!beside_[k].unchanged()) return false;
    return true;
  }

  bool is_ndarray(PyObject* object) const {
    return reinterpret_cast<PyObject*>(Py_TYPE(object)) == ndarray_;
  }

  void read_rows(const py::sequence& rows, double scale) {
    if (rows.size() != rows_.size()) throw py::value_error("one row of coefficients per row");
    for (size_t r = 0; r < rows_.size(); ++r)
      readers_[r].read(py::object(rows[r]).ptr(), scale, rows_[r]);
  }

  PyObject* ndarray_ = reinterpret_cast<PyObject*>(NumpyApi::get().PyArray_Type_);
  py::function convert_;
  std::vector<ArrayView> params_;
  std::vector<Beside> beside_;          // all tensors' slots and averages
  std::vector<size_t> beside_from_{0};  // where those of each begin
  std::vector<Tensor> tensors_;
  size_t work_ = 0;  // of a step in which no gradient is None, in elements of plain SGD
  std::vector<size_t> slot_counts_;
  Intervals memory_;
  std::vector<std::uint32_t> gaps_;
  std::vector<Row> rows_;
  Workspace workspace_;
  PoolKind pool_ = PoolKind::parking;
  std::vector<RowReader> readers_;
  py::tuple none_absent_;
  py::object last_rows_ = py::none();
};

// For users with a loop of their own: the same reduction over arrays that are not parameters.
double sum_of_squares_of(const std::vector<py::array>& arrays) {
  std::vector<Tensor> tensors;
  for (const py::array& array : arrays) {
    Tensor tensor{};
    tensor.dtype = dtype_of(array);
    tensor.span.grad = py::detail::array_proxy(array.ptr())->data;
    tensor.span.size = static_cast<size_t>(array.size());
    tensors.push_back(tensor);
  }
  const GilReleased released;
  size_t elements = 0;
  for (const Tensor& tensor : tensors) elements += tensor.span.size;
  Workspace workspace;
  return sum_of_squares(tensors, workspace, Crew(PoolKind::parking, elements));
}

}  // namespace

void register_param_table(py::module_& module) {
  py::class_<BoundTable>(module, "ParamTable")
      .def(py::init<const std::vector<py::array>&, const std::vector<std::vector<py::array>>&,
                    const std::vector<py::object>&, py::function>(),
           py::arg("params"), py::arg("slots"), py::arg("averages"), py::arg("convert"))
      .def("assign", &BoundTable::assign, py::arg("rules"), py::arg("row_of"))
      .def("step", &BoundTable::step, py::arg("leaves"), py::arg("rows"), py::arg("grad_scale"),
           py::arg("with_norm"), py::arg("skip_nonfinite"))
      .def_property_readonly("last_step", &BoundTable::last_step);
  module.def(
      "last_step",
      [] {
        return std::make_tuple(last_ran_on.isa, static_cast<int>(last_ran_on.pool),
                               last_ran_on.threads);
      },
      "The instruction set, the pool and the number of threads of this thread's last step.");
  module.def("sum_of_squares", &sum_of_squares_of, py::arg("arrays"));
}

}  // namespace gradstep
