#include "bindings/bindings.hpp"

PYBIND11_MODULE(_native, module, pybind11::mod_gil_not_used()) {
  module.doc() = "gradstep's compiled kernels. Use the gradstep package; this is its engine room.";
  gradstep::register_runtime(module);
  gradstep::register_tensors(module);
  gradstep::register_lists(module);
  gradstep::register_array_lists(module);
  gradstep::register_trees(module);
  gradstep::register_param_table(module);
  gradstep::register_vectors(module);
}
