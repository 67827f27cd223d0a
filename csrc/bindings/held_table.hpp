// What a parameter table holds, and how what a phase is given is looked at.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/glance.hpp"
#include "bindings/kept.hpp"
#include "bindings/row_reader.hpp"
#include "engine/parallel.hpp"
#include "engine/update.hpp"

namespace gradstep {

namespace py = pybind11;

using Objects = std::vector<py::object>;
using Sums = py::array_t<double, py::array::c_style | py::array::forcecast>;

class HeldTable {
 public:
  HeldTable(const Objects& params, const std::vector<Objects>& slots,
            const std::vector<Objects>& scalars, const Objects& averages, const Objects& copies,
            const std::vector<std::uint64_t>& keys, py::function convert, const py::object& parts,
            const std::vector<Kept>& kept)
      : glance_(std::move(convert)), kept_(kept), of_parts_(!parts.is_none()) {
    for (const size_t size :
         {slots.size(), scalars.size(), averages.size(), copies.size(), keys.size()})
      if (size != params.size())
        throw py::value_error("params and what goes with them must be equally long");
    for (size_t i = 0; i < params.size(); ++i) {
      tensors_.push_back(
          glance_.add(params[i], slots[i], scalars[i], averages[i], copies[i], keys[i]));
      slot_counts_.push_back({slots[i].size(), scalars[i].size()});
      if (views_torch(StoredArray(params[i]).array)) pool_ = PoolKind::openmp;
    }
    glance_.settle(tensors_, parts);
    set_kept(tensors_, kept);
  }

 protected:
  // Of every row its rule, whether it is cautious, and whether units are slices along the first
  // axis of its tensors; and the row of every tensor.
  void assign_rows(const std::vector<AssignedRule>& rules,
                   const std::vector<std::uint32_t>& row_of) {
    if (row_of.size() != tensors_.size())
      throw py::value_error("row_of must have one entry per tensor");
    RowsOfStep rows(rules);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (row_of[i] >= rules.size()) throw py::value_error("row_of names a row that is not there");
      const RuleInfo& rule = rows.rule(row_of[i]);
      if (slot_counts_[i] != std::make_pair(rule.slot_count, rule.whole.scalar_count))
        throw py::value_error("a tensor has not the state slots of its rule");
      if (of_parts_ && rule.whole.derived_count)
        throw py::value_error("steps of this rule depend on whole tensors; parts cannot take them");
      if (tensors_[i].factored && !rule.of_factors)
        throw py::value_error("this rule's state cannot be kept by factors");
    }
    work_ = 0;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      Tensor& tensor = tensors_[i];
      tensor.row = row_of[i];
      glance_.set_units(tensor, i, std::get<2>(rules[row_of[i]]));
      const RuleInfo& rule = rows.rule(row_of[i]);
      tensor.cost = element_cost(tensor.factored ? *rule.of_factors : rule, tensor.dtype);
      work_ += tensor.span.size * tensor.cost;
    }
    rows_ = std::move(rows);
  }

  // Sums over all tensors need all of them.
  void check_whole(size_t first, size_t last) const {
    if (rows_.of_all() && last - first != tensors_.size())
      throw py::value_error("this rule's steps depend on all tensors; apply them together");
  }

  void check_in_phases(bool with_norm) const {
    if (of_parts_ && with_norm)
      throw py::value_error("norms of parts are none of whole tensors; take block_sums and limit");
  }

  void check_counts(const std::optional<Sums>& counts) const {
    if (counts && static_cast<size_t>(counts->size()) != tensors_.size())
      throw py::value_error("expected " + std::to_string(tensors_.size()) + " counts, got " +
                            std::to_string(counts->size()));
    if (of_parts_ && !counts && rows_.any_cautious())
      throw py::value_error(
          "cautious steps of parts need the counts of whole tensors; give counts");
  }

  static py::tuple tuple_of(const py::object& leaves) {
    auto grads = py::reinterpret_steal<py::tuple>(PySequence_Tuple(leaves.ptr()));
    if (!grads) throw py::error_already_set();
    return grads;
  }

  static Sums array_of(const std::vector<double>& sums) {
    return Sums(static_cast<py::ssize_t>(sums.size()), sums.data());
  }

  // What addresses are of, and what was made on the way to it.
  struct Taken {
    py::tuple grads;
    std::vector<py::tuple> held;
  };

  // Of all tensors.
  Taken take_all(const py::object& leaves, const Tensors* of = nullptr) {
    py::tuple grads = tuple_of(leaves);
    if (grads.size() != tensors_.size())
      throw py::value_error("expected " + std::to_string(tensors_.size()) + " gradients, got " +
                            std::to_string(grads.size()));
    if (of) grads = of->positive(std::move(grads), 0);
    auto held = glance_.take(tensors_, 0, grads, absent_, of);
    return {std::move(grads), std::move(held)};
  }

  Glance glance_;
  const std::vector<Kept> kept_;
  Start start_;
  std::vector<Tensor> tensors_;
  const bool of_parts_;
  size_t work_ = 0;  // of a step in which no gradient is None, in elements of plain SGD
  std::vector<std::pair<size_t, size_t>> slot_counts_;  // of elements, and of scalars
  RowsOfStep rows_;
  Workspace workspace_;
  PoolKind pool_ = PoolKind::parking;
  std::vector<size_t> absent_;  // tensors without a gradient, of those last looked at
  py::tuple none_absent_;
};

}  // namespace gradstep
