// Sums of arrays over a fixed binary tree.
#include <pybind11/stl.h>

#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/gil.hpp"
#include "engine/param_table.hpp"
#include "engine/tree.hpp"

namespace py = pybind11;

namespace gradstep {
namespace {

// Of 16 bits without a sign: those of bfloat16.
Format format_of(const py::array& array) {
  constexpr int wanted = py::array::c_style | NumpyApi::NPY_ARRAY_ALIGNED_;
  if ((array.flags() & wanted) != wanted) throw py::value_error("arrays must be contiguous");
  if (py::isinstance<py::array_t<std::uint16_t>>(array)) return Format::bfloat16;
  return stored(dtype_of(array));
}

void tree_sum(py::array out, const std::vector<py::array>& sources,
              const std::vector<std::size_t>& starts, std::size_t shards, bool narrow) {
  const Format format = format_of(out);
  const bool wide = format == Format::float64;
  if (sources.size() != starts.size()) throw py::value_error("one start per source");
  std::vector<Branch> branches;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Format of_source = format_of(sources[i]);
    if ((of_source == Format::float64) != wide)
      throw py::type_error("sources and out must be of one compute type");
    if (sources[i].size() != out.size()) throw py::value_error("arrays must be equally long");
    branches.push_back({py::detail::array_proxy(sources[i].ptr())->data, of_source, starts[i]});
  }
  if (wide && narrow) throw py::type_error("float64 is not narrowed");
  if (!are_branches(branches, shards)) throw py::value_error("sources must be nodes of the tree");
  void* const to = out.mutable_data();
  const auto size = static_cast<std::size_t>(out.size());
  const GilReleased released;
  sum_tree(branches, shards, size, narrow, to, format);
}

}  // namespace

void register_trees(py::module_& module) {
  module.def("tree_sum", &tree_sum, py::arg("out"), py::arg("sources"), py::arg("starts"),
             py::arg("shards"), py::arg("narrow") = false);
}

}  // namespace gradstep
