// An array as Python hands it over: an ndarray of a compute type, or one with the name of its
// format and what lies beside it (gradstep.arrays.stored.Stored).
#pragma once

#include <pybind11/numpy.h>

#include <string>

#include "bindings/arrays.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

struct StoredArray {
  explicit StoredArray(const pybind11::object& object) {
    if (pybind11::isinstance<pybind11::array>(object)) {
      array = pybind11::reinterpret_borrow<pybind11::array>(object);
      format = stored(dtype_of(array));
    } else {
      array = pybind11::cast<pybind11::array>(object.attr("array"));
      format = format_named(pybind11::cast<std::string>(object.attr("format")));
      beside = object.attr("beside");
    }
  }

  pybind11::array array;
  Format format;
  pybind11::object beside = pybind11::none();

 private:
  static Format format_named(const std::string& name) {
    constexpr const char* names[format_count] = {"float32",
                                                 "float64",
                                                 "float16",
                                                 "bfloat16",
                                                 "float16 stochastic",
                                                 "bfloat16 stochastic",
                                                 "float16 kahan",
                                                 "bfloat16 kahan",
                                                 "bfloat16 split",
                                                 "float16 dithered",
                                                 "bfloat16 dithered",
                                                 "moments8",
                                                 "squares8"};
    for (std::size_t f = 0; f < format_count; ++f)
      if (name == names[f]) return static_cast<Format>(f);
    throw pybind11::value_error("there is no format named " + name);
  }
};

}  // namespace gradstep
