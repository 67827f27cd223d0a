// A row of coefficients as a step gets it from Python:
//   ((limits, penalties, average, {name: coefficient}), {name: coefficient of this step}, draws)
// The last stands for the step, and is there where rounding draws. The four parts mostly are the
// objects of the step before. They are kept, so that an unchanged address says that there is
// nothing to read.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "engine/dispatch.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

namespace py = pybind11;

inline double number(PyObject* object) {
  const double value = PyFloat_AsDouble(object);
  if (value == -1.0 && PyErr_Occurred()) throw py::error_already_set();
  return value;
}

class RowReader {
 public:
  explicit RowReader(const RuleInfo& rule) {
    for (size_t c = 0; c < rule.coefficient_count; ++c)
      names_.push_back(
          py::reinterpret_steal<py::str>(PyUnicode_InternFromString(rule.coefficients[c])));
  }

  void read(PyObject* given, double scale, Row& row) {
    row.draws = 0;
    if (PyTuple_CheckExact(given) && PyTuple_GET_SIZE(given) == 3)
      row.draws = py::cast<std::uint64_t>(py::handle(PyTuple_GET_ITEM(given, 2)));
    else
      check_tuple(given, 2, "a row");
    PyObject* parts = PyTuple_GET_ITEM(given, 0);
    if (parts != parts_.ptr()) read_parts(parts, row);
    row.scale = row.shared[grad_scale] = sign_ * scale;
    read_step(PyTuple_GET_ITEM(given, 1), row);
  }

 private:
  enum Part { limits, penalties, average, fixed, part_count };

  void read_parts(PyObject* parts, Row& row) {
    check_tuple(parts, part_count, "the parts of a row");
    parts_ = py::none();
    for (int p = 0; p < part_count; ++p) {
      PyObject* part = PyTuple_GET_ITEM(parts, p);
      if (part == part_[p].ptr()) continue;
      part_[p] = py::none();
      read_part(static_cast<Part>(p), part, row);
      part_[p] = py::reinterpret_borrow<py::object>(part);
    }
    const bool all_off =
        std::isinf(row.shared[clip_value]) && row.shared[l2] == 0 && row.shared[l1] == 0;
    row.extras = all_off ? lean : full;
    parts_ = py::reinterpret_borrow<py::object>(parts);
  }

  void read_part(Part part, PyObject* given, Row& row) {
    switch (part) {
      case limits:
        fill(given, {&sign_, &row.clip_norm, &row.clip_tensor_norm, &row.clip_adaptive,
                     &row.adaptive_eps, &row.shared[clip_value]});
        break;
      case penalties:
        fill(given, {&row.shared[l2], &row.shared[decay], &row.shared[l1]});
        break;
      case average:
        fill(given, {&row.shared[average_keep], &row.shared[average_take]});
        break;
      default:
        read_fixed(given, row);
    }
  }

  static void fill(PyObject* given, std::initializer_list<double*> members) {
    check_tuple(given, static_cast<Py_ssize_t>(members.size()), "a part of a row");
    Py_ssize_t at = 0;
    for (double* member : members) *member = number(PyTuple_GET_ITEM(given, at++));
  }

  void read_fixed(PyObject* coefficients, Row& row) {
    if (!PyDict_CheckExact(coefficients)) throw py::type_error("coefficients must be a dict");
    of_step_.clear();
    for (size_t c = 0; c < names_.size(); ++c) {
      PyObject* value = PyDict_GetItemWithError(coefficients, names_[c].ptr());
      if (value)
        row.own[c] = number(value);
      else
        of_step_.push_back(c);
    }
  }

  void read_step(PyObject* coefficients, Row& row) const {
    if (!PyDict_CheckExact(coefficients) ||
        PyDict_GET_SIZE(coefficients) != static_cast<Py_ssize_t>(of_step_.size()))
      throw py::type_error("coefficients must be dicts of exactly the rule's coefficients");
    for (const size_t c : of_step_) {
      PyObject* value = PyDict_GetItemWithError(coefficients, names_[c].ptr());
      if (!value) throw py::key_error(std::string(names_[c]));
      row.own[c] = number(value);
    }
  }

  static void check_tuple(PyObject* object, Py_ssize_t size, const char* what) {
    if (!PyTuple_CheckExact(object) || PyTuple_GET_SIZE(object) != size)
      throw py::type_error(what + (" must be a tuple of " + std::to_string(size)));
  }

  std::vector<py::str> names_;
  std::vector<size_t> of_step_;  // the coefficients that come with every step
  double sign_ = 1;
  py::object parts_ = py::none();
  std::array<py::object, part_count> part_;
};

// A row's rule, whether it is cautious, and whether units are slices along the first axis.
using AssignedRule = std::tuple<std::string, bool, bool>;

// The rows of a table's steps.
class RowsOfStep {
 public:
  RowsOfStep() = default;

  explicit RowsOfStep(const std::vector<AssignedRule>& rules) : rows_(rules.size()) {
    for (size_t r = 0; r < rules.size(); ++r) {
      rows_[r].rule = rule_named(std::get<0>(rules[r]));
      rows_[r].cautious = std::get<1>(rules[r]);
      if (rows_[r].cautious && !rule(r).agreeing[float32])
        throw py::value_error("a rule without momentum cannot be cautious");
      readers_.emplace_back(rule(r));
    }
  }

  void read(const py::sequence& given, double scale) {
    if (given.size() != rows_.size()) throw py::value_error("one row of coefficients per row");
    for (size_t r = 0; r < rows_.size(); ++r)
      readers_[r].read(py::object(given[r]).ptr(), scale, rows_[r]);
  }

  const RuleInfo& rule(size_t row) const { return active_kernels().rules[rows_[row].rule]; }

  // Whether steps of one depend on sums over all tensors.
  bool of_all() const {
    for (size_t r = 0; r < rows_.size(); ++r)
      if (rule(r).whole.of_all) return true;
    return false;
  }

  bool any_cautious() const {
    return std::any_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.cautious; });
  }

  std::vector<Row>& all() { return rows_; }

 private:
  std::vector<Row> rows_;
  std::vector<RowReader> readers_;
};

}  // namespace gradstep
