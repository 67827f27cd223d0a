// Gradients that are stored in another way than their parameters: in which format, and where.
#pragma once

#include <pybind11/numpy.h>

#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

using ArrayProxy = pybind11::detail::PyArray_Proxy;

// The storage formats, by NumPy's own objects for their dtypes. That of bfloat16 belongs to another
// package; it is known once an array of it has been seen.
class Formats {
 public:
  // Runs no Python code.
  std::optional<Format> of(const PyObject* descr) const {
    if (descr == float32_descr()) return Format::float32;
    if (descr == float64_descr()) return Format::float64;
    if (descr == float16_descr()) return Format::float16;
    for (const pybind11::object& known : bfloat16_)
      if (descr == known.ptr()) return Format::bfloat16;
    return std::nullopt;
  }

  void learn(const pybind11::array& array) {
    const pybind11::dtype dtype = array.dtype();
    if (of(dtype.ptr()) || dtype.kind() != 'V' || dtype.itemsize() != 2) return;
    if (std::string(pybind11::str(dtype.attr("name"))) == "bfloat16") bfloat16_.push_back(dtype);
  }

 private:
  std::vector<pybind11::object> bfloat16_;
};

// Where the elements of an array of any package lie: its lengths, and strides in bytes.
struct Strided {
  const char* data;
  int axes;
  const Py_intptr_t* lengths;
  const Py_intptr_t* strides;
  std::size_t item;

  // The address of its first byte in memory, and how many there are up to its last.
  std::pair<const char*, std::size_t> extent() const {
    const char *low = data, *high = data + item;
    for (int axis = 0; axis < axes; ++axis) {
      if (lengths[axis] == 0) return {low, 0};
      const Py_intptr_t reach = (lengths[axis] - 1) * strides[axis];
      (reach < 0 ? low : high) += reach;
    }
    return {low, static_cast<std::size_t>(high - low)};
  }
};

inline Strided strided(const ArrayProxy* array, std::size_t item) {
  return {array->data, array->nd, array->dimensions, array->strides, item};
}

// Sets the axes of an array in the order that `axis_at(k)` gives, the outermost first: without
// those of length one, and those that follow one another in memory as one. False where all elements
// do.
template <class AxisAt>
bool set_axes(const Strided& array, AxisAt axis_at, Axes& axes) {
  constexpr std::ptrdiff_t cache_line = 64;
  axes.of.clear();
  axes.turned = false;
  for (int k = 0; k < array.axes; ++k) {
    const int axis = axis_at(k);
    const auto length = static_cast<std::size_t>(array.lengths[axis]);
    const std::ptrdiff_t stride = array.strides[axis];
    if (length == 1) continue;
    if (!axes.of.empty() && axes.of.back().stride == static_cast<std::ptrdiff_t>(length) * stride)
      axes.of.back() = {axes.of.back().length * length, stride};
    else
      axes.of.push_back({length, stride});
  }
  if (axes.of.empty()) return false;
  const std::ptrdiff_t along = std::abs(axes.of.back().stride);
  if (axes.of.size() == 1) return axes.of[0].stride != static_cast<std::ptrdiff_t>(array.item);
  const std::ptrdiff_t across = std::abs(axes.of[axes.of.size() - 2].stride);
  axes.turned = along >= cache_line && across < cache_line;
  return true;
}

}  // namespace gradstep
