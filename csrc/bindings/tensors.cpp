#include "bindings/tensors.hpp"

#include <pybind11/stl.h>

#include "bindings/bindings.hpp"

namespace gradstep {
namespace {

// Lets Python's garbage collector find cycles through what a T keeps. It breaks them elsewhere: in
// the dict of the optimizer that has it.
template <class T>
py::custom_type_setup collected() {
  return py::custom_type_setup([](PyHeapTypeObject* heap_type) {
    PyTypeObject* const type = &heap_type->ht_type;
    type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->tp_traverse = [](PyObject* self, visitproc act, void* with) {
      if (const int stop = act(reinterpret_cast<PyObject*>(Py_TYPE(self)), with)) return stop;
      const auto* const instance = reinterpret_cast<const py::detail::instance*>(self);
      if (!instance->simple_layout || !instance->simple_holder_constructed) return 0;
      return py::cast<const T&>(py::handle(self)).visit(act, with);
    };
    type->tp_clear = [](PyObject*) { return 0; };
  });
}

}  // namespace

void register_tensors(py::module_& module) {
  py::class_<Snapshot>(module, "Snapshot", collected<Snapshot>())
      .def(py::init<const py::object&, int>(), py::arg("root"), py::arg("depth"))
      .def("same", &Snapshot::same);
  py::class_<Tensors>(module, "Tensors", collected<Tensors>())
      .def(py::init<const py::dict&, const std::vector<py::object>&, const std::vector<py::object>&,
                    const py::list&, const py::object&, py::object, py::object>(),
           py::arg("parts"), py::arg("params"), py::arg("beside"), py::arg("copies"),
           py::arg("state"), py::arg("counts"), py::arg("moved"))
      .def("gradients", &Tensors::gradients)
      .def("unchanged", &Tensors::unchanged);
}

}  // namespace gradstep
