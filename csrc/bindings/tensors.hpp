// PyTorch's tensors as parameters: what a step looks at beside its arrays, and what it tells them.
//
// A table holds arrays on the memory of tensors. Users may give these other memory, another shape
// or dtype, or put other tensors into the state, so all of it is looked at in every step, by
// descriptions that run no Python code (dlpack.hpp).
#pragma once

#include <pybind11/numpy.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "bindings/dlpack.hpp"
#include "bindings/snapshot.hpp"
#include "engine/independent.hpp"

namespace gradstep {

// A tensor as it was when it was handed over.
class WatchedTensor {
 public:
  WatchedTensor(const dlpack::ExchangeApi* api, py::object tensor, bool kept)
      : api_(api), tensor_(std::move(tensor)), kept_(kept ? keep(api, tensor_.ptr()) : nullptr) {
    dlpack::Tensor seen;
    if (!describe(tensor_.ptr(), seen)) throw py::type_error("not a tensor on this CPU");
    data_ = dlpack::first_byte(seen);
    code_ = seen.code;
    bits_ = seen.bits;
    axes_ = seen.ndim;
    if (axes_ > few_axes) more_ = std::make_unique<std::int64_t[]>(2 * axes_);
    std::copy_n(seen.shape, axes_, lengths());
    std::copy_n(seen.strides, axes_, strides());
  }

  const py::object& tensor() const { return tensor_; }

  // Whether there is one element at most.
  bool is_single() const {
    return std::all_of(lengths(), lengths() + axes_, [](std::int64_t n) { return n <= 1; });
  }

  bool unchanged() const {
    dlpack::Tensor now;
    return describe(tensor_.ptr(), now) && dlpack::first_byte(now) == data_ && now.code == code_ &&
           now.bits == bits_ && lies_like(now);
  }

  // Whether the elements of another one follow one another as those of this one.
  bool lies_like(const dlpack::Tensor& other) const {
    return same_shape(other) && std::equal(strides(), strides() + axes_, other.strides);
  }

  bool same_shape(const dlpack::Tensor& other) const {
    return other.ndim == axes_ && std::equal(lengths(), lengths() + axes_, other.shape);
  }

  // Asks for the memory of the Python object; and of what it points to first, which is mostly the
  // tensor itself. Whatever that is, it is a hint and no more.
  void fetch_object() const { GRADSTEP_PREFETCH(tensor_.ptr()); }
  void fetch_tensor() const {
    const auto* const pointer = reinterpret_cast<const char* const*>(tensor_.ptr() + 1);
    for (int line = 0; line < 3; ++line) GRADSTEP_PREFETCH(*pointer + 64 * line);
  }

  // Its axes in the order of memory, the outermost first.
  std::vector<int> order() const {
    std::vector<int> axes(axes_);
    std::iota(axes.begin(), axes.end(), 0);
    std::stable_sort(axes.begin(), axes.end(),
                     [this](int a, int b) { return strides()[a] > strides()[b]; });
    return axes;
  }

  bool describe(PyObject* object, dlpack::Tensor& tensor) const {
    if (api_->tensor_from_object(object, &tensor) == 0) return tensor.device_type == dlpack::cpu;
    forget_error();
    return false;
  }

 private:
  static constexpr int few_axes = 4;

  struct Release {
    void operator()(dlpack::Managed* kept) const { kept->release(kept); }
  };
  using Kept = std::unique_ptr<dlpack::Managed, Release>;

  // A second owner in C++: with a single one PyTorch 2.13 takes three times as long to describe it.
  static Kept keep(const dlpack::ExchangeApi* api, PyObject* tensor) {
    dlpack::Managed* kept = nullptr;
    if (api->managed_from_object(tensor, &kept) != 0) forget_error();
    return Kept(kept);
  }

  std::int64_t* lengths() { return more_ ? more_.get() : few_; }
  const std::int64_t* lengths() const { return more_ ? more_.get() : few_; }
  std::int64_t* strides() { return lengths() + axes_; }
  const std::int64_t* strides() const { return lengths() + axes_; }

  const dlpack::ExchangeApi* api_;
  py::object tensor_;
  Kept kept_;
  const char* data_;
  std::uint8_t code_, bits_;
  int axes_;
  std::int64_t few_[2 * few_axes];
  std::unique_ptr<std::int64_t[]> more_;
};

class Tensors {
 public:
  // `parts` are of PyTorch: the type of its tensors, how to read a gradient, whether a tensor is
  // negated, its positive, and what tells autograd of a write. `beside` is what a step writes with
  // the parameters, `copies` what of it autograd is told of, `state` the dict that users see it in,
  // `counts` has the steps that each parameter has taken, or is None, and `moved` is the exception
  // for what was changed.
  Tensors(const py::dict& parts, const std::vector<py::object>& params,
          const std::vector<py::object>& beside, const py::list& copies, const py::object& state,
          py::object counts, py::object moved)
      : type_(parts["Tensor"]),
        grad_(parts["grad"]),
        is_neg_(parts["is_neg"]),
        resolve_neg_(parts["resolve_neg"]),
        increment_version_(parts["increment_version"]),
        copies_(copies),
        state_(state, 2),
        counts_(std::move(counts)),
        moved_(std::move(moved)) {
    const dlpack::ExchangeApi* const api = dlpack::exchange_api(type_);
    if (!api || !api->managed_from_object) throw py::type_error("no exchange API");
    get_grad_ = Py_TYPE(grad_.ptr())->tp_descr_get;
    if (!get_grad_) throw py::type_error("grad must be a descriptor");
    // Another owner of a parameter would keep torch.utils.swap_tensors from it, and Python from
    // seeing cycles. While a graph of it lives, as in a training loop, it has one.
    for (const py::object& param : params) params_.emplace_back(api, param, false);
    for (const py::object& tensor : beside) beside_.emplace_back(api, tensor, true);
    for (const WatchedTensor& param : params_) {
      counters_.emplace_back(api, counter_of(param.tensor()), true);
      all_.append(counters_.back().tensor());
    }
    for (const py::handle copy : copies_) all_.append(copy);
    see_counts();
  }

  size_t size() const { return params_.size(); }
  const WatchedTensor& param(size_t i) const { return params_[i]; }
  bool is_tensor(PyObject* object) const {
    return reinterpret_cast<PyObject*>(Py_TYPE(object)) == type_.ptr();
  }

  // The gradients that autograd has left. A mode of PyTorch's may run anybody's code meanwhile.
  py::tuple gradients() const {
    py::tuple grads(params_.size());
    for (size_t i = 0; i < params_.size(); ++i) {
      fetch_ahead(params_, i);
      PyObject* const param = params_[i].tensor().ptr();
      PyObject* const grad = get_grad_(grad_.ptr(), param, type_.ptr());
      if (!grad) throw py::error_already_set();
      PyTuple_SET_ITEM(grads.ptr(), static_cast<Py_ssize_t>(i), grad);
    }
    return grads;
  }

  // The same with positive ones in the place of those of one element that are negated, which their
  // descriptions do not tell. Of others the strides do: see Glance.
  py::tuple positive(py::tuple grads, size_t first) const {
    for (size_t i = 0; i < grads.size(); ++i) {
      if (!params_[first + i].is_single()) continue;
      const py::object grad = grads[i];
      if (!is_tensor(grad.ptr())) continue;
      if (is_neg_(grad).ptr() != Py_True) continue;
      py::list changed(grads);
      changed[i] = resolve_neg_(grad);
      grads = py::tuple(changed);
    }
    return grads;
  }

  // Whether all are what they were. Runs no Python code.
  bool unchanged() const {
    return state_.same() && all_unchanged(params_) && all_unchanged(beside_) && counts_unchanged();
  }

  void check() const {
    if (unchanged()) return;
    PyErr_SetNone(moved_.ptr());
    throw py::error_already_set();
  }

  // Tells autograd that parameters [first, last) are written, but for those of `absent`, and
  // copies: graphs that have kept one can no longer be walked.
  void announce(size_t first, size_t last, const std::vector<size_t>& absent) const {
    if (first == 0 && last == params_.size() && absent.empty()) {
      increment_version_(all_);
      return;
    }
    if (absent.size() == last - first) return;
    py::list written;
    for (const py::handle copy : copies_) written.append(copy);
    of_present(first, last, absent, [&](size_t i) { written.append(counters_[i].tensor()); });
    increment_version_(written);
  }

  // Counts a step of parameters [first, last), but for those of `absent`.
  void count(size_t first, size_t last, const std::vector<size_t>& absent) {
    with_counts([&](auto* counts, size_t) {
      of_present(first, last, absent, [&](size_t i) { counts[i] += 1; });
    });
    see_counts();
  }

  // For Python's garbage collector.
  int visit(visitproc act, void* with) const {
    for (const std::vector<WatchedTensor>* each : {&params_, &beside_, &counters_})
      for (const WatchedTensor& watched : *each)
        if (const int stop = act(watched.tensor().ptr(), with)) return stop;
    for (const py::list* each : {&all_, &copies_})
      if (const int stop = act(each->ptr(), with)) return stop;
    return state_.visit(act, with);
  }

 private:
  // Objects of many small tensors lie anywhere, and are asked for ahead of their turn.
  static bool all_unchanged(const std::vector<WatchedTensor>& tensors) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      fetch_ahead(tensors, i);
      if (!tensors[i].unchanged()) return false;
    }
    return true;
  }

  static void fetch_ahead(const std::vector<WatchedTensor>& tensors, size_t i) {
    constexpr size_t ahead = 6;
    if (i + 2 * ahead < tensors.size()) tensors[i + 2 * ahead].fetch_object();
    if (i + ahead < tensors.size()) tensors[i + ahead].fetch_tensor();
  }

  // A tensor without memory that shares a parameter's version counter, and may have other owners.
  py::object counter_of(const py::object& param) const {
    py::object counter = param.attr("detach")();
    counter.attr("data") = counter.attr("new_empty")(0);
    return counter;
  }

  // Calls act(i) for those of [first, last) that are not among `absent`, which ascends.
  template <class Act>
  static void of_present(size_t first, size_t last, const std::vector<size_t>& absent, Act act) {
    auto next = absent.begin();
    for (size_t i = first; i < last; ++i)
      if (next != absent.end() && *next == i)
        ++next;
      else
        act(i);
  }

  // Calls act(counts, size) with what users see of them, in the dtype that they have.
  template <class Act>
  void with_counts(Act act) const {
    if (counts_.is_none()) return;
    const auto* array = py::detail::array_proxy(counts_.ptr());
    const auto size = static_cast<size_t>(array->dimensions[0]);
    if (array->descr == float32_descr())
      act(reinterpret_cast<float*>(array->data), size);
    else
      act(reinterpret_cast<double*>(array->data), size);
  }

  bool counts_unchanged() const {
    bool same = true;
    with_counts([&](const auto* counts, size_t size) {
      same = std::equal(counts, counts + size, seen_counts_.begin(), seen_counts_.end());
    });
    return same;
  }

  void see_counts() {
    with_counts(
        [&](const auto* counts, size_t size) { seen_counts_.assign(counts, counts + size); });
  }

  py::object type_, grad_, is_neg_, resolve_neg_, increment_version_;
  descrgetfunc get_grad_ = nullptr;
  std::vector<WatchedTensor> params_, beside_, counters_;
  py::list all_, copies_;
  Snapshot state_;
  py::object counts_, moved_;
  std::vector<double> seen_counts_;
};

}  // namespace gradstep
