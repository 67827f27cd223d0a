// gradstep._native.ParamTable: NumPy arrays in, checked addresses out to the engine.
//
// A step has four phases: begin, with coefficients; measure, where limits need norms of all
// gradients; apply to some tensors, as often as there are more; and end, or abort. `step` is all of
// them in one call. What a phase is given is looked at before anything is written.
#include "engine/param_table.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/gil.hpp"
#include "bindings/glance.hpp"
#include "bindings/kept.hpp"
#include "bindings/ran_on.hpp"
#include "bindings/row_reader.hpp"
#include "engine/dispatch.hpp"
#include "engine/limits.hpp"
#include "engine/update.hpp"

namespace py = pybind11;

namespace gradstep {
namespace {

// From so many tensors on threads are called before gradients are checked, as it takes a while.
constexpr size_t many = 32;

using Objects = std::vector<py::object>;

class BoundTable {
 public:
  BoundTable(const Objects& params, const std::vector<Objects>& slots,
             const std::vector<Objects>& scalars, const Objects& averages, const Objects& copies,
             const std::vector<std::uint64_t>& keys, py::function convert,
             const std::vector<Kept>& kept)
      : glance_(std::move(convert)), kept_(kept) {
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
    glance_.settle(tensors_);
    set_kept(tensors_, kept);
  }

  // Of every row its rule, whether it is cautious, and whether units are slices along the first
  // axis of its tensors; and the row of every tensor.
  void assign(const std::vector<AssignedRule>& rules, const std::vector<std::uint32_t>& row_of) {
    check_no_step();
    if (row_of.size() != tensors_.size())
      throw py::value_error("row_of must have one entry per tensor");
    RowsOfStep rows(rules);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (row_of[i] >= rules.size()) throw py::value_error("row_of names a row that is not there");
      const RuleInfo& rule = rows.rule(row_of[i]);
      if (slot_counts_[i] != std::make_pair(rule.slot_count, rule.whole.scalar_count))
        throw py::value_error("a tensor has not the state slots of its rule");
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

  py::tuple step(const py::object& leaves, const py::sequence& rows, double scale, bool with_norm,
                 bool skip_nonfinite) {
    return take_step(leaves, rows, scale, with_norm, skip_nonfinite, nullptr, 0);
  }

  // The same of tensors, on whose memory the parameters lie; without leaves of their own gradients.
  py::tuple step_tensors(Tensors& of, const py::object& leaves, const py::sequence& rows,
                         double scale, bool with_norm, bool skip_nonfinite, int threads) {
    if (of.size() != tensors_.size()) throw py::value_error("there are other tensors");
    const py::tuple grads = leaves.is_none() ? of.gradients() : tuple_of(leaves);
    return take_step(grads, rows, scale, with_norm, skip_nonfinite, &of, threads);
  }

  py::tuple take_step(const py::object& leaves, const py::sequence& rows, double scale,
                      bool with_norm, bool skip_nonfinite, Tensors* of, int threads) {
    check_no_step();
    rows_.read(rows, scale);
    const Crew crew(of ? PoolKind::openmp : pool_, work_, threads);
    if (tensors_.size() > many) crew.call();
    const Taken taken = take_all(leaves, of);
    if (of) of->announce(0, tensors_.size(), absent_);
    double norm = 0;
    bool skipped = false;
    {
      const GilReleased released;
      if (with_norm) {
        norm = limit_gradients(tensors_, rows_.all(), scale, workspace_, crew);
        skipped = skip_nonfinite && !std::isfinite(norm);
      } else {
        lift_limits(tensors_, workspace_);
      }
      if (!skipped) update_tensors(0, tensors_.size(), crew);
    }
    if (!skipped) {
      last_rows_ = rows;
      last_absent_.swap(absent_);
      if (of) of->count(0, tensors_.size(), last_absent_);
    }
    const std::vector<size_t>& absent = skipped ? absent_ : last_absent_;
    return py::make_tuple(with_norm ? py::object(py::float_(norm)) : py::none(), skipped,
                          absent.empty() ? none_absent_ : py::tuple(py::cast(absent)));
  }

  void begin(const py::sequence& rows, double scale) {
    check_no_step();
    rows_.read(rows, scale);
    lift_limits(tensors_, workspace_);
    scale_ = scale;
    applied_.assign(tensors_.size(), false);
    begun_ = rows;
  }

  double measure(const py::object& leaves) {
    check_step();
    const Taken taken = take_all(leaves);
    check_step();  // anybody's code may have run
    const Crew crew(pool_, work_);
    const GilReleased released;
    return limit_gradients(tensors_, rows_.all(), scale_, workspace_, crew);
  }

  // What the gradient of tensor `i` is multiplied with in this step, units' factors aside.
  double scale(size_t i) {
    check_step();
    if (i >= tensors_.size()) throw py::value_error("there are not so many tensors");
    return rows_.all()[tensors_[i].row].shared[grad_scale] * tensors_[i].span.limit;
  }

  // With `of` as in step_tensors.
  void apply(size_t first, const py::object& leaves, Tensors* of, int threads) {
    if (of && of->size() != tensors_.size()) throw py::value_error("there are other tensors");
    check_step();
    py::tuple grads = tuple_of(leaves);
    if (first > tensors_.size() || grads.size() > tensors_.size() - first)
      throw py::value_error("there are not so many tensors");
    const size_t last = first + grads.size();
    check_not_applied(first, last);
    check_whole(first, last);
    if (of) grads = of->positive(grads, first);
    const auto held = glance_.take(tensors_, first, grads, absent_, of);
    check_step();  // anybody's code may have run
    check_not_applied(first, last);
    if (of) of->announce(first, last, absent_);
    for (size_t i = first; i < last; ++i)
      if (tensors_[i].factors) tensors_[i].staged |= grad_role;
    {
      const Crew crew(of ? PoolKind::openmp : pool_, work_, threads);
      const GilReleased released;
      update_tensors(first, last, crew);
    }
    for (size_t i = first; i < last; ++i) applied_[i] = present(tensors_[i]);
    if (of) of->count(first, last, absent_);
  }

  // The tensors that the step has left out. It has been taken, in full, for the others.
  py::tuple end() {
    check_step();
    last_absent_ = left_out();
    last_rows_ = std::exchange(begun_, py::none());
    return py::tuple(py::cast(last_absent_));
  }

  // The same where a step cannot go on. If it has left out all tensors it has not been taken.
  py::tuple abort() {
    check_step();
    if (std::find(applied_.begin(), applied_.end(), true) != applied_.end()) return end();
    begun_ = py::none();
    return py::tuple(py::cast(left_out()));
  }

  // The rows of the last step that was taken, and the tensors that it left out.
  py::tuple last_step() const { return py::make_tuple(last_rows_, last_absent_); }
  py::object kept_of() const { return kept_.empty() ? py::none() : last_rows_; }

 private:
  void check_no_step() const {
    if (!begun_.is_none()) throw std::runtime_error("a step has begun; end or abort it first");
  }

  void check_step() const {
    if (begun_.is_none()) throw std::runtime_error("no step has begun");
  }

  void check_not_applied(size_t first, size_t last) const {
    const auto begin = applied_.begin() + first, end = applied_.begin() + last;
    if (std::find(begin, end, true) != end)
      throw py::value_error("a tensor is updated once in a step");
  }

  // Sums over all tensors need all of them.
  void check_whole(size_t first, size_t last) const {
    if (rows_.of_all() && last - first != tensors_.size())
      throw py::value_error("this rule's steps depend on all tensors; apply them together");
  }

  std::vector<size_t> left_out() const {
    std::vector<size_t> tensors;
    for (size_t i = 0; i < applied_.size(); ++i)
      if (!applied_[i]) tensors.push_back(i);
    return tensors;
  }

  void update_tensors(size_t first, size_t last, const Crew& crew) {
    const char* isa = update(tensors_, first, last, rows_.all(), workspace_, crew);
    last_ran_on = {isa, crew.kind(), crew.threads_used()};
  }

  static py::tuple tuple_of(const py::object& leaves) {
    auto grads = py::reinterpret_steal<py::tuple>(PySequence_Tuple(leaves.ptr()));
    if (!grads) throw py::error_already_set();
    return grads;
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
  std::vector<Tensor> tensors_;
  size_t work_ = 0;  // of a step in which no gradient is None, in elements of plain SGD
  std::vector<std::pair<size_t, size_t>> slot_counts_;  // of elements, and of scalars
  RowsOfStep rows_;
  Workspace workspace_;
  PoolKind pool_ = PoolKind::parking;
  std::vector<size_t> absent_;  // tensors without a gradient, of those last looked at
  py::tuple none_absent_;
  // Of a step that is taken in phases: its rows, and what it has updated.
  py::object begun_ = py::none();
  double scale_ = 1;
  std::vector<bool> applied_;
  py::object last_rows_ = py::none();
  std::vector<size_t> last_absent_;
};

}  // namespace

void register_param_table(py::module_& module) {
  py::class_<BoundTable>(module, "ParamTable")
      .def(py::init<const Objects&, const std::vector<Objects>&, const std::vector<Objects>&,
                    const Objects&, const Objects&, const std::vector<std::uint64_t>&, py::function,
                    const std::vector<Kept>&>(),
           py::arg("params"), py::arg("slots"), py::arg("scalars"), py::arg("averages"),
           py::arg("copies"), py::arg("keys"), py::arg("convert"),
           py::arg("kept") = std::vector<Kept>())
      .def("assign", &BoundTable::assign, py::arg("rules"), py::arg("row_of"))
      .def("step", &BoundTable::step, py::arg("leaves"), py::arg("rows"), py::arg("grad_scale"),
           py::arg("with_norm"), py::arg("skip_nonfinite"))
      .def("step_tensors", &BoundTable::step_tensors, py::arg("tensors"), py::arg("leaves"),
           py::arg("rows"), py::arg("grad_scale"), py::arg("with_norm"), py::arg("skip_nonfinite"),
           py::arg("threads"))
      .def("begin", &BoundTable::begin, py::arg("rows"), py::arg("grad_scale"))
      .def("measure", &BoundTable::measure, py::arg("leaves"))
      .def("scale", &BoundTable::scale, py::arg("tensor"))
      .def("apply", &BoundTable::apply, py::arg("first"), py::arg("leaves"),
           py::arg("tensors") = py::none(), py::arg("threads") = 0)
      .def("end", &BoundTable::end)
      .def("abort", &BoundTable::abort)
      .def_property_readonly("last_step", &BoundTable::last_step)
      .def_property_readonly("kept_of", &BoundTable::kept_of);
}

}  // namespace gradstep
