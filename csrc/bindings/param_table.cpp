// gradstep._native.ParamTable: NumPy arrays in, checked addresses out to the engine.
//
// A step has four phases: begin, with coefficients; measure, where limits need norms of all
// gradients; apply to some tensors, as often as there are more; and end, or abort. `step` is all of
// them in one call. What a phase is given is looked at before anything is written.
#include "engine/param_table.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/bindings.hpp"
#include "bindings/gil.hpp"
#include "bindings/held_table.hpp"
#include "bindings/ran_on.hpp"
#include "engine/dispatch.hpp"
#include "engine/limits.hpp"
#include "engine/starting.hpp"
#include "engine/update.hpp"

namespace py = pybind11;

namespace gradstep {
namespace {

// From so many tensors on threads are called before gradients are checked, as it takes a while.
constexpr size_t many = 32;

class BoundTable : public HeldTable {
 public:
  using HeldTable::HeldTable;

  void assign(const std::vector<AssignedRule>& rules, const std::vector<std::uint32_t>& row_of) {
    check_no_step();
    assign_rows(rules, row_of);
  }

  // The next step starts from these bits: Start, in kept.hpp.
  void start_from(Start::Bits bits, py::list displaced) {
    start_.set(tensors_, std::move(bits), std::move(displaced));
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
    check_in_phases(with_norm);
    check_counts(std::nullopt);
    rows_.read(rows, scale);
    const Crew crew(of ? PoolKind::openmp : pool_, work_, threads);
    if (tensors_.size() > many) crew.call();
    const Taken taken = take_all(leaves, of);
    std::optional<Taken> again;
    Starting starting(start_, tensors_);
    if (starting && !start_in_pass(tensors_, rows_.all())) {
      starting.put_back();
      again = take_all(taken.grads, of);
    }
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
      starting.reached();
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
    summed_ = false;
    begun_ = rows;
  }

  double measure(const py::object& leaves) {
    check_in_phases(true);
    const Taken taken = look_at(leaves);
    const Crew crew(pool_, work_);
    const GilReleased released;
    return limit_gradients(tensors_, rows_.all(), scale_, workspace_, crew);
  }

  // Of parts of tensors: the sums of their blocks, and how many of their elements agree with their
  // gradient.
  py::tuple take_block_sums(const py::object& leaves) {
    const Taken taken = look_at(leaves);
    BlockSums sums;
    {
      const Crew crew(pool_, work_);
      const GilReleased released;
      sums = block_sums(tensors_, rows_.all(), workspace_, crew);
    }
    summed_ = true;
    return py::make_tuple(array_of(sums.squares), array_of(sums.unit_grads),
                          array_of(sums.unit_params));
  }

  // By the sums of all blocks of the whole tensors, of those that had a gradient last.
  double limit(const Sums& squares, const Sums& unit_grads, const Sums& unit_params) {
    check_step();
    if (!summed_)
      throw std::runtime_error("there are no sums of blocks; ask for them first: block_sums");
    const auto values = [](const Sums& sums) {
      return std::vector<double>(sums.data(), sums.data() + sums.size());
    };
    double norm = 0;
    if (!limit_by_blocks(tensors_, rows_.all(), scale_, workspace_,
                         {values(squares), values(unit_grads), values(unit_params)}, &norm))
      throw py::value_error("expected the sums of all blocks of all tensors that have a gradient");
    return norm;
  }

  Sums counts(const py::object& leaves) {
    if (!of_parts_)
      throw py::value_error("counts are of parts; steps of whole tensors count by themselves");
    const Taken taken = look_at(leaves);
    stage_factors(0, tensors_.size());
    {
      const Crew crew(pool_, work_);
      const GilReleased released;
      count_agreeing(tensors_, rows_.all(), workspace_, crew);
    }
    return array_of(workspace_.agreeing);
  }

  // What the gradient of tensor `i` is multiplied with in this step, units' factors aside.
  double scale(size_t i) {
    check_step();
    if (i >= tensors_.size()) throw py::value_error("there are not so many tensors");
    return rows_.all()[tensors_[i].row].shared[grad_scale] * tensors_[i].span.limit;
  }

  // With `of` as in step_tensors. `counts` are those of the whole tensors, of which parts are here.
  void apply(size_t first, const py::object& leaves, Tensors* of, int threads,
             const std::optional<Sums>& counts) {
    check_counts(counts);
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
    stage_factors(first, last);
    {
      const Crew crew(of ? PoolKind::openmp : pool_, work_, threads);
      const GilReleased released;
      update_tensors(first, last, crew, counts ? counts->data() : nullptr);
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

  std::vector<size_t> left_out() const {
    std::vector<size_t> tensors;
    for (size_t i = 0; i < applied_.size(); ++i)
      if (!applied_[i]) tensors.push_back(i);
    return tensors;
  }

  // Of all tensors, in a step that is under way.
  Taken look_at(const py::object& leaves) {
    check_step();
    Taken taken = take_all(leaves);
    check_step();  // anybody's code may have run
    return taken;
  }

  // What limits leave of units applies to gradients however they are stored.
  void stage_factors(size_t first, size_t last) {
    for (size_t i = first; i < last; ++i)
      if (tensors_[i].factors) tensors_[i].staged |= grad_role;
  }

  void update_tensors(size_t first, size_t last, const Crew& crew, const double* counts = nullptr) {
    const char* isa = update(tensors_, first, last, rows_.all(), workspace_, crew, counts);
    last_ran_on = {isa, crew.kind(), crew.threads_used()};
  }

  // Of a step that is taken in phases: its rows, and what it has updated.
  py::object begun_ = py::none();
  double scale_ = 1;
  bool summed_ = false;  // whether the sums of its blocks have been taken
  std::vector<bool> applied_;
  py::object last_rows_ = py::none();
  std::vector<size_t> last_absent_;
};

}  // namespace

void register_param_table(py::module_& module) {
  py::class_<BoundTable>(module, "ParamTable")
      .def(py::init<const Objects&, const std::vector<Objects>&, const std::vector<Objects>&,
                    const Objects&, const Objects&, const std::vector<std::uint64_t>&, py::function,
                    const py::object&, const std::vector<Kept>&>(),
           py::arg("params"), py::arg("slots"), py::arg("scalars"), py::arg("averages"),
           py::arg("copies"), py::arg("keys"), py::arg("convert"), py::arg("parts") = py::none(),
           py::arg("kept") = std::vector<Kept>())
      .def("assign", &BoundTable::assign, py::arg("rules"), py::arg("row_of"))
      .def("start_from", &BoundTable::start_from, py::arg("bits"), py::arg("displaced"))
      .def("step", &BoundTable::step, py::arg("leaves"), py::arg("rows"), py::arg("grad_scale"),
           py::arg("with_norm"), py::arg("skip_nonfinite"))
      .def("step_tensors", &BoundTable::step_tensors, py::arg("tensors"), py::arg("leaves"),
           py::arg("rows"), py::arg("grad_scale"), py::arg("with_norm"), py::arg("skip_nonfinite"),
           py::arg("threads"))
      .def("begin", &BoundTable::begin, py::arg("rows"), py::arg("grad_scale"))
      .def("measure", &BoundTable::measure, py::arg("leaves"))
      .def("block_sums", &BoundTable::take_block_sums, py::arg("leaves"))
      .def("limit", &BoundTable::limit, py::arg("squares"), py::arg("unit_grads"),
           py::arg("unit_params"))
      .def("counts", &BoundTable::counts, py::arg("leaves"))
      .def("scale", &BoundTable::scale, py::arg("tensor"))
      .def("apply", &BoundTable::apply, py::arg("first"), py::arg("leaves"),
           py::arg("tensors") = py::none(), py::arg("threads") = 0, py::arg("counts") = py::none())
      .def("end", &BoundTable::end)
      .def("abort", &BoundTable::abort)
      .def_property_readonly("last_step", &BoundTable::last_step)
      .def_property_readonly("kept_of", &BoundTable::kept_of);
}

}  // namespace gradstep
