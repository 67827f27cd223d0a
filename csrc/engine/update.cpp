#include "engine/update.hpp"

#include <algorithm>

#include "engine/batches.hpp"
#include "engine/converting.hpp"
#include "engine/denormals.hpp"
#include "engine/dispatch.hpp"
#include "engine/draws.hpp"
#include "engine/factored.hpp"
#include "engine/independent.hpp"
#include "engine/keeping.hpp"
#include "engine/parallel.hpp"
#include "engine/param_table.hpp"
#include "engine/partition.hpp"
#include "engine/stage.hpp"
#include "engine/starting.hpp"

namespace gradstep {
namespace {

class Updater {
 public:
  Updater(Tensor* begin, Tensor* end, const std::vector<Row>& rows, Workspace& workspace,
          const Crew& crew, const double* counts = nullptr)
      : begin_(begin),
        end_(end),
        rows_(rows),
        workspace_(workspace),
        crew_(crew),
        counts_(counts),
        first_(begin),
        kernels_(active_kernels()),
        keeper_(begin, end) {
    workspace.rows.resize(rows.size());
    cast_rows_ = workspace.rows.data();
    for (std::size_t r = 0; r < rows.size(); ++r) cast_row(rows[r], workspace.rows[r]);
  }

  const char* take() {
    const StandardArithmetic standard;
    if (std::any_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.draws != 0; }))
      for (Tensor* tensor = begin_; tensor < end_; ++tensor) {
        tensor->span.draws = draw_key(rows_[tensor->row].draws ^ tensor->key);
        tensor->span.draws.number = static_cast<std::uint32_t>(tensor->before);
      }
    const Batches batches(rows_, kernels_);
    Tensor* const last = end_;
    if (batches.end(begin_, last, crew_) < last) make_room(last - begin_);
    for (; begin_ < last; begin_ = end_) {
      end_ = batches.end(begin_, last, crew_);
      take_batch();
    }
    return kernels_.isa;
  }

  // Of rules that take nothing else of whole tensors.
  void count() {
    const StandardArithmetic standard;
    workspace_.measures.clear();
    count_agreeing();
  }

 private:
  // From when the first batch is written on nothing may fail.
  void make_room(std::size_t tensors) const {
    workspace_.whole.reserve(tensors);
    workspace_.agreeing.reserve(tensors);
    workspace_.ends.reserve(tensors);
    workspace_.measures.reserve(tensors);
  }

  void take_batch() {
    derive_of_tensors();
    const Partition partition(begin_, end_, workspace_.ends, crew_);
    const bool flushing = flush_denormals();
    auto job = [&](int chunk) {
      const DenormalsFlushed flushed(flushing);
      partition.chunk(chunk, [&](const Tensor& tensor, std::size_t begin, std::size_t end) {
        if (tensor.start || tensor.kept_param)
          update_in_parts(tensor, begin, end);
        else
          update(tensor, begin, end);
      });
      keeper_.settle();
    };
    crew_.run(partition.division(), job);
    keep_scalars();
  }

  void cast_row(const Row& row, Workspace::CastRow& to) const {
    const RuleInfo& rule = kernels_.rules[row.rule];
    for (const DType dtype : {float32, float64})
      to.kernels[dtype] = row.cautious ? rule.cautious_update[dtype] : rule.update[dtype];
    to.extras = row.extras;
    const std::size_t own = rule.coefficient_count;
    std::copy_n(row.shared, int{shared_count}, to.as_float64);
    std::copy_n(row.own, own, to.as_float64 + shared_count);
    for (std::size_t c = 0; c < shared_count + own; ++c)
      to.as_float32[c] = static_cast<float>(to.as_float64[c]);
  }

  const void* coefficients(const Tensor& tensor) const {
    const Workspace::CastRow& cast = cast_rows_[tensor.row];
    return tensor.dtype == float32 ? static_cast<const void*>(cast.as_float32)
                                   : static_cast<const void*>(cast.as_float64);
  }

  // Of each part what parameters start from is put there just before, or what they were is kept.
  GRADSTEP_OUT_OF_LINE void update_in_parts(const Tensor& tensor, std::size_t begin,
                                            std::size_t end) const {
    in_parts(tensor, begin, end, [&](std::size_t from, std::size_t to) {
      if (tensor.start) start(tensor, from, to);
      if (tensor.kept_param) keeper_.keep(tensor, from, to);
      update(tensor, from, to);
    });
  }

  void update(const Tensor& tensor, std::size_t begin, std::size_t end) const {
    const Workspace::CastRow& row = cast_rows_[tensor.row];
    const Extras extras = tensor.span.average.data ? averaging : row.extras;
    const UpdateFn kernel = tensor.factored ? rule_of(tensor).update[tensor.dtype][extras]
                                            : row.kernels[tensor.dtype][extras];
    const void* own = coefficients(tensor);
    if (!tensor.staged && !tensor.factored) return kernel(own, tensor.span, begin, end);
    Converting converting;
    if (!rows_[tensor.row].cautious)
      converting = converting_kernel(tensor, rule_of(tensor), extras);
    const UpdateFn run = converting.kernel ? converting.kernel : kernel;
    complete(tensor, all_roles & ~converting.roles, Access::update, begin, end,
             [&](const Span& span, std::size_t from, std::size_t to) { run(own, span, from, to); });
  }

  const RuleInfo& rule_of(const Tensor& tensor) const {
    const RuleInfo& rule = kernels_.rules[rows_[tensor.row].rule];
    return tensor.factored ? *rule.of_factors : rule;
  }

  // What steps take of whole tensors before they begin.
  void derive_of_tensors() {
    const auto derives = [&](const Row& row) {
      return kernels_.rules[row.rule].whole.derived_count;
    };
    derives_ = std::any_of(rows_.begin(), rows_.end(), derives);
    const bool cautious =
        std::any_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.cautious; });
    workspace_.measures.clear();
    if (derives_) {
      average_factors();
      begin_deriving();
      workspace_.measures.take(crew_);
      conclude();
    }
    if (!cautious) return;
    if (!counts_) count_agreeing();
    scale_cautious_steps(counts_ ? counts_ + (begin_ - first_) : workspace_.agreeing.data());
  }

  Workspace::Whole& whole_of(const Tensor& tensor) const {
    return workspace_.whole[&tensor - begin_];
  }

  // Calls act(tensor, rule, what is taken of the tensor) for those whose rules derive.
  template <class Act>
  void of_deriving(Act act) {
    for (Tensor* tensor = begin_; tensor < end_; ++tensor)
      if (const WholeTensors& rule = rule_of(*tensor).whole; rule.derived_count)
        act(*tensor, rule, whole_of(*tensor));
  }

  // For those whose scalars this step changes: of sums over all tensors, all.
  template <class Act>
  void of_stepping(Act act) {
    of_deriving([&](Tensor& tensor, const WholeTensors& rule, Workspace::Whole& whole) {
      if (rule.of_all ? steps_any_ : present(tensor)) act(tensor, rule, whole);
    });
  }

  void average_factors() {
    of_factored([&](const Tensor& tensor, const WholeTensors&) {
      tensor.factored->measure(tensor, workspace_.measures);
    });
    workspace_.measures.take(crew_);
    of_factored([&](const Tensor& tensor, const WholeTensors& rule) {
      const Row& row = rows_[tensor.row];
      double share, least;
      rule.factors(row.own, &share, &least);
      tensor.factored->average(row.shared[grad_scale] * tensor.span.limit, share, least);
    });
  }

  template <class Act>
  void of_factored(Act act) {
    for (const Tensor* tensor = begin_; tensor < end_; ++tensor)
      if (present(*tensor) && tensor->factored) act(*tensor, rule_of(*tensor).whole);
  }

  void begin_deriving() {
    workspace_.whole.assign(end_ - begin_, {});
    const Tensor* first = nullptr;  // of those whose scalars are the same
    of_deriving([&](Tensor& tensor, const WholeTensors& rule, Workspace::Whole& whole) {
      if (rule.of_all && !first) first = &tensor;
      const Tensor& from = rule.of_all ? *first : tensor;
      for (std::size_t k = 0; k < rule.scalar_count; ++k) whole.scalars[k] = *from.scalars[k];
      whole.size = static_cast<double>(tensor.span.size);
      rule.begin(rows_[tensor.row].own, whole.scalars, whole.derived);
      tensor.span.derived = whole.derived;
      if (present(tensor) && rule.sum_count)
        workspace_.measures.add({&tensor, whole_tensor(), all_roles, tensor.cost, rule.sum_count,
                                 rule.sums[tensor.dtype], nullptr, coefficients(tensor),
                                 whole.sums});
    });
  }

  void conclude() {
    Workspace::Whole all{};
    steps_any_ = false;
    of_deriving([&](Tensor& tensor, const WholeTensors& rule, const Workspace::Whole& whole) {
      if (!present(tensor)) return;
      steps_any_ = true;
      if (!rule.of_all) return;
      for (std::size_t k = 0; k < rule.sum_count; ++k) all.sums[k] += whole.sums[k];
      all.size += whole.size;
    });
    const Workspace::Whole* first = nullptr;  // of those whose scalars are the same
    of_stepping([&](Tensor& tensor, const WholeTensors& rule, Workspace::Whole& whole) {
      const double* own = rows_[tensor.row].own;
      if (!rule.of_all)
        rule.conclude(own, whole.sums, whole.size, whole.scalars, whole.derived);
      else if (first)
        std::copy_n(first->scalars, rule.scalar_count, whole.scalars);
      else
        rule.conclude(own, all.sums, all.size, whole.scalars, whole.derived);
      if (rule.of_all && !first) first = &whole;
      if (rule.finish) rule.finish(own, whole.scalars, whole.derived);
    });
  }

  void keep_scalars() {
    if (!derives_) return;
    of_stepping([](Tensor& tensor, const WholeTensors& rule, const Workspace::Whole& whole) {
      for (std::size_t k = 0; k < rule.scalar_count; ++k) *tensor.scalars[k] = whole.scalars[k];
    });
    of_factored([](const Tensor& tensor, const WholeTensors&) { tensor.factored->keep(); });
  }

  // Liang et al. 2024, arXiv:2411.16085, Algorithm 2: what is left of a tensor's step grows by
  // size/(count + 1), where count is the number of elements left.
  void scale_cautious_steps(const double* counts) {
    for (Tensor* tensor = begin_; tensor < end_; ++tensor)
      tensor->span.cautious_scale =
          static_cast<double>(whole_size(*tensor)) / (counts[tensor - begin_] + 1);
  }

  void count_agreeing() {
    workspace_.agreeing.assign(end_ - begin_, 0.0);
    for (const Tensor* tensor = begin_; tensor < end_; ++tensor)
      if (present(*tensor) && rows_[tensor->row].cautious)
        workspace_.measures.add({tensor, whole_tensor(), all_roles, tensor->cost, 1,
                                 rule_of(*tensor).agreeing[tensor->dtype], nullptr,
                                 coefficients(*tensor), &workspace_.agreeing[tensor - begin_]});
    workspace_.measures.take(crew_);
  }

  Tensor *begin_, *end_;  // of a batch
  const std::vector<Row>& rows_;
  Workspace& workspace_;
  const Crew& crew_;
  const double* const counts_;
  const Tensor* const first_;  // that counts are of
  const KernelTable& kernels_;
  const Workspace::CastRow* cast_rows_;
  const Keeper keeper_;
  bool derives_ = false;    // whether any rule does
  bool steps_any_ = false;  // whether any tensor of these rules has a gradient
};

}  // namespace

void count_agreeing(std::vector<Tensor>& tensors, const std::vector<Row>& rows,
                    Workspace& workspace, const Crew& crew) {
  Tensor* const begin = tensors.data();
  Updater(begin, begin + tensors.size(), rows, workspace, crew).count();
}

const char* update(std::vector<Tensor>& tensors, std::size_t first, std::size_t last,
                   const std::vector<Row>& rows, Workspace& workspace, const Crew& crew,
                   const double* counts) {
  Tensor* const begin = tensors.data();
  return Updater(begin + first, begin + last, rows, workspace, crew,
                 counts ? counts + first : counts)
      .take();
}

}  // namespace gradstep
