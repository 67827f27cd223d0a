// What the parts of the Python module offer to module.cpp.
#pragma once

#include <pybind11/pybind11.h>

namespace gradstep {

void register_runtime(pybind11::module_& module);
void register_param_table(pybind11::module_& module);
void register_tensors(pybind11::module_& module);
void register_lists(pybind11::module_& module);
void register_vectors(pybind11::module_& module);
void register_array_lists(pybind11::module_& module);
void register_trees(pybind11::module_& module);

}  // namespace gradstep
