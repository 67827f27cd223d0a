// Sums and steps over lists of PyTorch's tensors, with nothing kept from call to call.
//
// What a list of tensors holds is looked at by descriptions (dlpack.hpp) and written in the same
// call. Where something cannot be taken as it is, nothing is done: Python does it in a slower way,
// or says what is wrong.
#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/dlpack.hpp"
#include "bindings/gil.hpp"
#include "bindings/intervals.hpp"
#include "bindings/kept.hpp"
#include "bindings/row_reader.hpp"
#include "engine/dispatch.hpp"
#include "engine/limits.hpp"
#include "engine/update.hpp"

namespace py = pybind11;

namespace gradstep {
namespace {

using Objects = std::vector<py::object>;
using Slots = std::vector<Objects>;

bool fills_its_memory(const dlpack::Tensor& tensor) {
  std::vector<std::pair<std::int64_t, std::int64_t>> axes;
  for (int axis = 0; axis < tensor.ndim; ++axis)
    if (tensor.shape[axis] != 1) axes.emplace_back(tensor.strides[axis], tensor.shape[axis]);
  std::sort(axes.begin(), axes.end());
  std::int64_t expected = 1;
  for (const auto& [stride, length] : axes) {
    if (stride != expected) return false;
    expected *= length;
  }
  return true;
}

// In C's order: row by row.
bool in_c_order(const dlpack::Tensor& tensor) {
  std::int64_t expected = 1;
  for (int axis = tensor.ndim - 1; axis >= 0; --axis) {
    if (tensor.shape[axis] != 1 && tensor.strides[axis] != expected) return false;
    expected *= tensor.shape[axis];
  }
  return true;
}

bool lie_alike(const dlpack::Tensor& a, const dlpack::Tensor& b) {
  return a.ndim == b.ndim && std::equal(a.shape, a.shape + a.ndim, b.shape) &&
         std::equal(a.strides, a.strides + a.ndim, b.strides);
}

size_t size_of(const dlpack::Tensor& tensor) {
  size_t size = 1;
  for (int axis = 0; axis < tensor.ndim; ++axis) size *= static_cast<size_t>(tensor.shape[axis]);
  return size;
}

class Lists {
 public:
  // `types` are that of tensors and that of parameters; others may mean something else by theirs.
  explicit Lists(const py::tuple& types)
      : type_(py::object(types[0]).ptr()),
        param_type_(py::object(types[1]).ptr()),
        api_(dlpack::exchange_api(types[0])) {}

  bool known() const { return api_ != nullptr; }

  // Sets an array to what a tensor holds. Of what is written the memory is noted, too.
  bool read(const py::object& object, Array& array, bool written) {
    dlpack::Tensor tensor;
    return describe(object, tensor) && fills_its_memory(tensor) && set(tensor, array, written);
  }

  // The same of one that has to lie as `like` does.
  bool read_beside(const py::object& object, const dlpack::Tensor& like, Array& array,
                   bool written) {
    dlpack::Tensor tensor;
    return describe(object, tensor) && lie_alike(tensor, like) && set(tensor, array, written);
  }

  bool describe(const py::object& object, dlpack::Tensor& tensor) const {
    const auto* const type = reinterpret_cast<PyObject*>(Py_TYPE(object.ptr()));
    if (type != type_ && type != param_type_) return false;
    if (api_->tensor_from_object(object.ptr(), &tensor) == 0)
      return tensor.device_type == dlpack::cpu && tensor.ndim <= dlpack::most_axes &&
             (tensor.data || size_of(tensor) == 0);
    forget_error();
    return false;
  }

  // Whether one of them has a single element and is negated, which its description does not tell.
  // Of others their strides would. May run anybody's code, so it is asked before all else.
  bool any_negated(const std::vector<py::object>& grads) const {
    return std::any_of(grads.begin(), grads.end(), [this](const py::object& grad) {
      dlpack::Tensor tensor;
      return describe(grad, tensor) && size_of(tensor) == 1 &&
             py::cast<bool>(grad.attr("is_neg")());
    });
  }

  // Whether what is written is written once, and not read as a gradient.
  bool apart(const std::vector<Tensor>& tensors) {
    std::sort(written_.begin(), written_.end());
    for (size_t i = 1; i < written_.size(); ++i)
      if (written_[i].first < written_[i - 1].second) return false;
    Intervals intervals;
    for (const auto& [begin, end] : written_)
      intervals.add(begin, static_cast<size_t>(end - begin));
    intervals.sort();
    std::uint32_t gap = 0;
    return std::none_of(tensors.begin(), tensors.end(), [&](const Tensor& tensor) {
      const Array& grad = tensor.span.grad;
      return grad.data &&
             intervals.overlaps(grad.data, tensor.span.size * item_size(grad.format), gap);
    });
  }

 private:
  bool set(const dlpack::Tensor& tensor, Array& array, bool written) {
    const auto format = dlpack::format_of(tensor);
    if (!format) return false;
    char* const begin = dlpack::first_byte(tensor);
    array = {begin, nullptr, *format};
    if (const size_t size = size_of(tensor); written && size > 0)
      written_.emplace_back(begin, begin + size * item_size(*format));
    if (size_of(tensor) == 0) array.data = &nothing_;
    return true;
  }

  const PyObject *type_, *param_type_;
  const dlpack::ExchangeApi* api_;
  std::vector<std::pair<const char*, const char*>> written_;
  char nothing_ = 0;
};

Format dithered(Format format) {
  if (format == Format::bfloat16) return Format::bfloat16_dithered;
  return format == Format::float16 ? Format::float16_dithered : format;
}

// Whether all of it can be taken as it is.
bool read_tensor(Lists& lists, Tensor& tensor, const py::object& param, const py::object& grad,
                 const Slots& slots, size_t i, const py::object& copy) {
  dlpack::Tensor like;
  Span& span = tensor.span;
  if (!lists.describe(param, like) || !lists.read(param, span.param, true)) return false;
  tensor.dtype = compute_type(span.param.format);
  span.size = size_of(like);
  span.limit = 1;
  if (!lists.read_beside(grad, like, span.grad, false)) return false;
  for (size_t k = 0; k < slots.size(); ++k) {
    Array& slot = span.slots[k];
    if (!lists.read_beside(slots[k][i], like, slot, true)) return false;
    if (slot.format != stored(tensor.dtype) && (is_plain(slot.format) || tensor.dtype == float64))
      return false;
    // Draws go by the elements' numbers in C's order.
    if (!is_plain(slot.format) && !in_c_order(like)) return false;
    slot.format = dithered(slot.format);
  }
  if (!copy.is_none() && (!lists.read_beside(copy, like, span.copy, true) ||
                          is_plain(span.copy.format) || span.param.format != Format::float32))
    return false;
  tensor.narrow = narrow_roles(tensor);
  const bool staged = span.grad.format != stored(tensor.dtype);
  tensor.staged = tensor.narrow | (staged ? grad_role : 0u);
  tensor.units = 1;
  return true;
}

// One step of a rule over all parameters that have a gradient. `announce` and `count` are called
// before and after it is written. Returns what the rule concludes of all tensors, the scalars of
// such rules; None where that needs Python: nothing has been done then.
py::object step_lists(const std::string& rule, const py::tuple& types, const Objects& params,
                      const Objects& grads, const Slots& slots, const Objects& copies,
                      const Objects& rows_given, const std::vector<std::uint32_t>& row_of,
                      const std::vector<std::uint64_t>& keys, double scale,
                      const py::object& announce, const py::object& count,
                      const std::vector<Kept>& kept, int threads) {
  Lists lists(types);
  if (!lists.known() || lists.any_negated(grads)) return py::none();
  const size_t count_of_all = params.size();
  for (const size_t size : {grads.size(), copies.size(), row_of.size(), keys.size()})
    if (size != count_of_all) throw py::value_error("lists must be equally long");
  for (const Objects& slot : slots)
    if (slot.size() != count_of_all) throw py::value_error("lists must be equally long");
  const RuleInfo& info = active_kernels().rules[rule_named(rule)];
  if (info.slot_count != slots.size()) throw py::value_error("the rule has other state slots");
  const WholeTensors& whole = info.whole;
  if (whole.scalar_count && !whole.of_all)
    throw py::value_error("the rule keeps scalars of each tensor");
  double scalars[max_scalars] = {};
  std::vector<Row> rows(rows_given.size());
  for (size_t r = 0; r < rows.size(); ++r) {
    rows[r].rule = rule_named(rule);
    RowReader(info).read(rows_given[r].ptr(), scale, rows[r]);
  }
  std::vector<Tensor> tensors;
  size_t work = 0;
  for (size_t i = 0; i < params.size(); ++i) {
    Tensor tensor{};
    if (!read_tensor(lists, tensor, params[i], grads[i], slots, i, copies[i])) return py::none();
    if (row_of[i] >= rows.size()) throw py::value_error("row_of names a row that is not there");
    tensor.row = row_of[i];
    tensor.cost = element_cost(info, tensor.dtype);
    tensor.key = keys[i];
    for (size_t k = 0; k < whole.scalar_count; ++k) tensor.scalars[k] = &scalars[k];
    work += tensor.span.size * tensor.cost;
    tensors.push_back(tensor);
  }
  if (!lists.apart(tensors)) return py::none();
  set_kept(tensors, kept);
  announce();
  {
    const Crew crew(PoolKind::openmp, work, threads);
    const GilReleased released;
    Workspace workspace;
    update(tensors, 0, tensors.size(), rows, workspace, crew);
  }
  count();
  return py::tuple(py::cast(std::vector<double>(scalars, scalars + whole.scalar_count)));
}

// The sum of the squares of all elements; None where that needs Python.
py::object sum_of_squares_of_tensors(const py::tuple& types, const Objects& grads, int threads) {
  Lists lists(types);
  if (!lists.known() || lists.any_negated(grads)) return py::none();
  std::vector<Tensor> tensors;
  size_t elements = 0;
  for (const py::object& grad : grads) {
    Tensor tensor{};
    dlpack::Tensor given;
    if (!lists.describe(grad, given) || !lists.read(grad, tensor.span.grad, false))
      return py::none();
    tensor.dtype = compute_type(tensor.span.grad.format);
    tensor.staged = tensor.span.grad.format == stored(tensor.dtype) ? 0u : grad_role;
    tensor.span.size = size_of(given);
    elements += tensor.span.size;
    tensors.push_back(tensor);
  }
  double sum;
  {
    const Crew crew(PoolKind::openmp, elements, threads);
    const GilReleased released;
    Workspace workspace;
    sum = sum_of_squares(tensors, workspace, crew);
  }
  return py::float_(sum);
}

}  // namespace

void register_lists(py::module_& module) {
  module.def("step_lists", &step_lists, py::arg("rule"), py::arg("types"), py::arg("params"),
             py::arg("grads"), py::arg("slots"), py::arg("copies"), py::arg("rows"),
             py::arg("row_of"), py::arg("keys"), py::arg("grad_scale"), py::arg("announce"),
             py::arg("count"), py::arg("kept"), py::arg("threads"));
  module.def("sum_of_squares_of_tensors", &sum_of_squares_of_tensors, py::arg("types"),
             py::arg("grads"), py::arg("threads"));
}

}  // namespace gradstep
