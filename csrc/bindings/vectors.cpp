// gradstep._native.Vectors: vectors over all parameters, known by their numbers.
//
// Parameters and gradients are looked at before anything is written or read. Where they are not
// what they have to be, nothing is done and the caller, who is told so, finds the words.
#include "engine/vectors.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/gil.hpp"
#include "engine/param_table.hpp"

namespace py = pybind11;

namespace gradstep {
namespace {

using Number = std::size_t;  // of a vector
using Numbers = py::array_t<double>;

Numbers numbers(const std::vector<double>& values) {
  return Numbers(static_cast<py::ssize_t>(values.size()), values.data());
}

std::vector<Segment> segments_of(const std::vector<py::array>& params,
                                 const std::vector<std::size_t>& offsets) {
  if (offsets.size() != params.size()) throw py::value_error("one offset per parameter");
  std::vector<Segment> segments;
  for (std::size_t i = 0; i < params.size(); ++i)
    segments.push_back(
        {dtype_of(params[i]), static_cast<std::size_t>(params[i].size()), offsets[i]});
  return segments;
}

class BoundVectors {
 public:
  // `offsets` are where each parameter's part begins in a vector, of `bytes` bytes.
  BoundVectors(const std::vector<py::array>& params, const std::vector<std::size_t>& offsets,
               std::size_t bytes)
      : bytes_(bytes), vectors_(segments_of(params, offsets)) {
    for (std::size_t i = 0; i < params.size(); ++i) {
      params_.emplace_back(params[i], dtype_of(params[i]));
      if (offsets[i] % item_size(params_[i].dtype()) || offsets[i] > bytes ||
          params_[i].bytes() > bytes - offsets[i])
        throw py::value_error("a parameter's part does not fit into a vector");
      addresses_.push_back(params_[i].data());
      if (views_torch(params[i])) pool_ = PoolKind::openmp;
    }
  }

  // One more vector, on this memory; its number is how many there were.
  void add_memory(const py::array& memory) {
    if (!(memory.flags() & py::array::c_style) || !memory.writeable() ||
        static_cast<std::size_t>(memory.nbytes()) != bytes_)
      throw py::value_error("memory must be contiguous, writeable and of a vector's size");
    char* data = py::detail::array_proxy(memory.ptr())->data;
    if (reinterpret_cast<std::uintptr_t>(data) % alignof(double))
      throw py::value_error("memory is not aligned");
    memory_.push_back(data);
    held_.push_back(memory);
  }

  // Gradients times `scale`; zeros for None. None where one cannot be read in place.
  py::object read(const py::sequence& grads, double scale, Number to) {
    if (grads.size() != params_.size()) throw py::value_error("one gradient per parameter");
    const py::tuple held(grads);
    std::vector<const void*> parts(params_.size());
    for (std::size_t i = 0; i < params_.size(); ++i) {
      const py::handle grad = held[i];
      if (grad.is_none()) continue;
      if (Py_TYPE(grad.ptr()) != NumpyApi::get().PyArray_Type_) return py::none();
      const auto* array = py::detail::array_proxy(grad.ptr());
      if (!params_[i].matches(array)) return py::none();
      parts[i] = array->data;
    }
    char* vector = at(to);
    return size_tuple([&](const Crew& crew) { return vectors_.read(crew, parts, scale, vector); });
  }

  py::object measure(Number x) {
    char* vector = at(x);
    return size_tuple([&](const Crew& crew) { return vectors_.measure(crew, vector); });
  }

  double dot(Number x, Number y) {
    const char *one = at(x), *other = at(y);
    return released([&](const Crew& crew) { return vectors_.dot(crew, one, other); });
  }

  // False where a parameter is not what it was; so of move.
  bool save(Number to) {
    char* vector = at(to);
    if (!unchanged()) return false;
    released([&](const Crew& crew) { vectors_.save(crew, addresses_, vector); });
    return true;
  }

  // From x, or from where the parameters are.
  bool move(std::optional<Number> x, double scale, Number d) {
    const char *from = x ? at(*x) : nullptr, *along = at(d);
    if (!unchanged()) return false;
    released([&](const Crew& crew) { vectors_.move(crew, addresses_, from, scale, along); });
    return true;
  }

  // Whatever has become of their flags: as long as they are where they were.
  void restore(Number from) {
    const char* vector = at(from);
    for (const ArrayView& param : params_)
      if (!param.in_place()) throw py::value_error("a parameter has moved");
    released([&](const Crew& crew) { vectors_.restore(crew, addresses_, vector); });
  }

  std::tuple<double, double, Numbers, std::vector<double>> differences(
      Number now, Number before, double scale, Number d, Number s, Number y,
      const std::vector<Number>& older) {
    const char *g = at(now), *old = at(before), *along = at(d);
    char *step = at(s), *change = at(y);
    std::vector<const char*> steps, read{g, old, along};
    for (const Number vector : older) steps.push_back(at(vector));
    read.insert(read.end(), steps.begin(), steps.end());
    for (const char* vector : read)
      if (vector == step || vector == change || step == change)
        throw py::value_error("a vector is read and written");
    const auto of = released([&](const Crew& crew) {
      return vectors_.differences(crew, g, old, scale, along, step, change, std::move(steps));
    });
    return {of.ys, of.yy, numbers(of.with_y), of.with_g};
  }

  // Each pair: s, y, ρ, and the products of y with the steps of at least the pairs before it, the
  // last of them at the end.
  std::tuple<double, double> direction(Number g, const std::vector<py::tuple>& pairs,
                                       const std::vector<double>& along, double scale, Number to) {
    const char* gradient = at(g);
    char* d = at(to);
    if (along.size() != pairs.size()) throw py::value_error("one product with g per pair");
    std::vector<Pair> held;
    for (const py::tuple& pair : pairs) {  // by hand: a NamedTuple is slow to convert
      if (pair.size() != 4) throw py::value_error("a pair is s, y, rho and products");
      const auto products = py::cast<py::array>(pair[3]);
      const auto known = static_cast<std::size_t>(products.size());
      if (known < held.size() || dtype_of(products) != float64 ||
          !(products.flags() & py::array::c_style))
        throw py::value_error("one product per pair before, as an array of float64");
      held.push_back({at(pair[0].cast<Number>()), at(pair[1].cast<Number>()),
                      pair[2].cast<double>(),
                      static_cast<const double*>(products.data()) + (known - held.size())});
      if (held.back().s == d || held.back().y == d)
        throw py::value_error("a vector is read and written");
    }
    if (gradient == d) throw py::value_error("a vector is read and written");
    const auto of = released([&](const Crew& crew) {
      return vectors_.direction(crew, gradient, held, along, scale, d);
    });
    return {of.slope, of.largest};
  }

 private:
  char* at(Number vector) const {
    if (vector >= memory_.size()) throw py::value_error("there is no such vector");
    return memory_[vector];
  }

  bool unchanged() const {
    for (const ArrayView& param : params_)
      if (!param.unchanged() || !param.in_shape()) return false;
    return true;
  }

  template <class Act>
  auto released(Act act) -> decltype(act(std::declval<const Crew&>())) {
    const Crew crew(pool_, vectors_.elements());
    const GilReleased gil;
    return act(crew);
  }

  template <class Act>
  py::object size_tuple(Act act) {
    const Size size = released(act);
    return py::make_tuple(size.largest, size.absolute, size.squares);
  }

  const std::size_t bytes_;
  Vectors vectors_;
  std::vector<ArrayView> params_;
  std::vector<void*> addresses_;
  std::vector<char*> memory_;
  std::vector<py::array> held_;
  PoolKind pool_ = PoolKind::parking;
};

}  // namespace

void register_vectors(py::module_& module) {
  py::class_<BoundVectors>(module, "Vectors")
      .def(py::init<const std::vector<py::array>&, const std::vector<std::size_t>&, std::size_t>(),
           py::arg("params"), py::arg("offsets"), py::arg("bytes"))
      .def("add_memory", &BoundVectors::add_memory, py::arg("memory"))
      .def("read", &BoundVectors::read, py::arg("grads"), py::arg("scale"), py::arg("to"))
      .def("measure", &BoundVectors::measure, py::arg("x"))
      .def("dot", &BoundVectors::dot, py::arg("x"), py::arg("y"))
      .def("save", &BoundVectors::save, py::arg("to"))
      .def("restore", &BoundVectors::restore, py::arg("x"))
      .def("move", &BoundVectors::move, py::arg("x"), py::arg("scale"), py::arg("d"))
      .def("differences", &BoundVectors::differences, py::arg("now"), py::arg("before"),
           py::arg("scale"), py::arg("d"), py::arg("s"), py::arg("y"), py::arg("older"))
      .def("direction", &BoundVectors::direction, py::arg("g"), py::arg("pairs"), py::arg("along"),
           py::arg("scale"), py::arg("to"));
}

}  // namespace gradstep
