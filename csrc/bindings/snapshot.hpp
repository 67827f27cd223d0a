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
    const py::object* held = objects_.data();
    for (const Container& each : containers_) {
      if (!(each.is_dict ? same_dict(each, held) : same_list(each, held))) return false;
      held += each.count;
    }
    return true;
  }

  // For Python's garbage collector.
  int visit(visitproc act, void* with) const {
    for (const py::object& object : objects_)
      if (const int stop = act(object.ptr(), with)) return stop;
    for (const Container& each : containers_)
      if (const int stop = act(each.container.ptr(), with)) return stop;
    return 0;
  }

 private:
  struct Container {
    py::object container;
    bool is_dict;
    Py_ssize_t count;  // of the objects it holds: of a dict keys and values by turns
  };

  void take(PyObject* container, int depth) {
    const bool is_dict = PyDict_Check(container);
    if (!is_dict && !PyList_Check(container)) return;
    const size_t first = objects_.size();
    const auto keep = [this](PyObject* object) {
      objects_.push_back(py::reinterpret_borrow<py::object>(object));
    };
    if (is_dict) {
      Py_ssize_t at = 0;
      PyObject *key, *value;
      while (PyDict_Next(container, &at, &key, &value)) {
        keep(key);
        keep(value);
      }
    } else {
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(container); ++i)
        keep(PyList_GET_ITEM(container, i));
    }
    const size_t last = objects_.size();
    containers_.push_back({py::reinterpret_borrow<py::object>(container), is_dict,
                           static_cast<Py_ssize_t>(last - first)});
    if (depth > 1) pending_.push_back({first, last, depth - 1});
    if (first == 0) take_pending();
  }

  // Breadth first, so that what a container holds follows what the one before it holds.
  void take_pending() {
    for (size_t next = 0; next < pending_.size(); ++next) {
      const Pending of = pending_[next];
      for (size_t i = of.first; i < of.last; ++i) {
        const py::object object = objects_[i];
        take(object.ptr(), of.depth);
      }
    }
    pending_.clear();
  }

  static bool same_dict(const Container& of, const py::object* held) {
    if (2 * PyDict_GET_SIZE(of.container.ptr()) != of.count) return false;
    Py_ssize_t at = 0;
    PyObject *key, *value;
    for (; PyDict_Next(of.container.ptr(), &at, &key, &value); held += 2)
      if (key != held[0].ptr() || value != held[1].ptr()) return false;
    return true;
  }

  static bool same_list(const Container& of, const py::object* held) {
    if (PyList_GET_SIZE(of.container.ptr()) != of.count) return false;
    for (Py_ssize_t i = 0; i < of.count; ++i)
      if (PyList_GET_ITEM(of.container.ptr(), i) != held[i].ptr()) return false;
    return true;
  }

  struct Pending {
    size_t first, last;
    int depth;
  };

  // The objects are kept, so that no others can be where they were.
  std::vector<py::object> objects_;
  std::vector<Container> containers_;
  std::vector<Pending> pending_;
};

}  // namespace gradstep
