#include "bindings/tensors.hpp"

#include <pybind11/stl.h>

#include "bindings/bindings.hpp"

namespace gradstep {

void register_tensors(py::module_& module) {
  py::class_<Snapshot>(module, "Snapshot")
      .def(py::init<const py::object&, int>(), py::arg("root"), py::arg("depth"))
      .def("same", &Snapshot::same);
  py::class_<Tensors>(module, "Tensors")
      .def(py::init<const py::dict&, const std::vector<py::object>&, const std::vector<py::object>&,
                    const py::object&, py::object, py::object>(),
           py::arg("parts"), py::arg("params"), py::arg("beside"), py::arg("state"),
           py::arg("counts"), py::arg("moved"))
      .def("gradients", &Tensors::gradients)
      .def("unchanged", &Tensors::unchanged);
}

}  // namespace gradstep
