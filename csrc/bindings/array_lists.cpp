// Sums and copies over lists of arrays that are no parameters.
#include <pybind11/stl.h>

#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/gil.hpp"
#include "engine/copying.hpp"
#include "engine/limits.hpp"

namespace py = pybind11;

namespace gradstep {
namespace {

// For users with a loop of their own: the same reduction over arrays that are not parameters.
double sum_of_squares_of(const std::vector<py::array>& arrays) {
  std::vector<Tensor> tensors;
  for (const py::array& array : arrays) {
    Tensor tensor{};
    tensor.dtype = dtype_of(array);
    tensor.span.grad = {py::detail::array_proxy(array.ptr())->data, nullptr, stored(tensor.dtype)};
    tensor.span.size = static_cast<size_t>(array.size());
    tensors.push_back(tensor);
  }
  const GilReleased released;
  size_t elements = 0;
  for (const Tensor& tensor : tensors) elements += tensor.span.size;
  Workspace workspace;
  return sum_of_squares(tensors, workspace, Crew(PoolKind::parking, elements));
}

// Elements as they are, of equally long arrays; with threads, so many of PyTorch's.
void copy_arrays(const std::vector<py::array>& to, const std::vector<py::array>& from,
                 int threads) {
  if (to.size() != from.size()) throw py::value_error("lists must be equally long");
  std::vector<Copied> all;
  for (size_t i = 0; i < to.size(); ++i) {
    constexpr int contiguous = py::array::c_style;
    if (to[i].nbytes() != from[i].nbytes() || !(to[i].flags() & contiguous) ||
        !(from[i].flags() & contiguous) || !to[i].writeable())
      throw py::value_error("arrays must be contiguous, equally long and, to copy to, writeable");
    all.push_back({py::detail::array_proxy(to[i].ptr())->data,
                   py::detail::array_proxy(from[i].ptr())->data,
                   static_cast<size_t>(to[i].nbytes())});
  }
  const GilReleased released;
  copy_all(all, threads ? PoolKind::openmp : PoolKind::parking, threads);
}

}  // namespace

void register_array_lists(py::module_& module) {
  module.def("sum_of_squares", &sum_of_squares_of, py::arg("arrays"));
  module.def("copy_arrays", &copy_arrays, py::arg("to"), py::arg("from_"), py::arg("threads"));
}

}  // namespace gradstep
