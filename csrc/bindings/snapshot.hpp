// Lists and dicts as they were: which objects they held, seen without asking any of them.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

namespace gradstep {

namespace py = pybind11;

// Of a list or dict, and of the lists and dicts within it down to a depth.
class Snapshot {
 public:
  Snapshot(const py::object& root, int depth) { take(root.ptr(), depth); }

  // Whether all hold the same objects in the same order. Runs no Python code.
  bool same() const {
    for (const Held& held : all_)
      if (!(held.is_dict ? same_dict(held) : same_list(held))) return false;
    return true;
  }

 private:
  // The objects are kept, so that no others can be where they were.
  struct Held {
    py::object container;
    bool is_dict;
    std::vector<py::object> objects;  // of a dict keys and values by turns
  };

  void take(PyObject* container, int depth) {
    Held held{py::reinterpret_borrow<py::object>(container), PyDict_Check(container) != 0, {}};
    const auto keep = [&held](PyObject* object) {
      held.objects.push_back(py::reinterpret_borrow<py::object>(object));
    };
    if (held.is_dict) {
      Py_ssize_t at = 0;
      PyObject *key, *value;
      while (PyDict_Next(container, &at, &key, &value)) {
        keep(key);
        keep(value);
      }
    } else if (PyList_Check(container)) {
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(container); ++i)
        keep(PyList_GET_ITEM(container, i));
    } else {
      return;
    }
    const std::vector<py::object> within = held.objects;
    all_.push_back(std::move(held));
    for (const py::object& object : within)
      if (depth > 1) take(object.ptr(), depth - 1);
  }

  static bool same_dict(const Held& held) {
    PyObject* const dict = held.container.ptr();
    if (2 * static_cast<size_t>(PyDict_GET_SIZE(dict)) != held.objects.size()) return false;
    Py_ssize_t at = 0;
    PyObject *key, *value;
    for (const py::object* object = held.objects.data(); PyDict_Next(dict, &at, &key, &value);
         object += 2)
      if (key != object[0].ptr() || value != object[1].ptr()) return false;
    return true;
  }

  static bool same_list(const Held& held) {
    PyObject* const list = held.container.ptr();
    const auto size = static_cast<size_t>(PyList_GET_SIZE(list));
    if (size != held.objects.size()) return false;
    for (size_t i = 0; i < size; ++i)
      if (PyList_GET_ITEM(list, i) != held.objects[i].ptr()) return false;
    return true;
  }

  std::vector<Held> all_;
};

}  // namespace gradstep
