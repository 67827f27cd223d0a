#include <algorithm>
#include <atomic>

#include "engine/denormals.hpp"
#include "engine/dispatch.hpp"
#include "engine/limits.hpp"
#include "engine/parallel.hpp"
#include "engine/param_table.hpp"
#include "engine/partition.hpp"

namespace gradstep {
namespace {

class Updater {
 public:
  Updater(std::vector<Tensor>& tensors, const std::vector<Row>& rows, Workspace& workspace,
          const Crew& crew)
      : tensors_(tensors),
        rows_(rows),
        workspace_(workspace),
        crew_(crew),
        kernels_(active_kernels()),
        partition_(tensors, workspace.ends, crew) {
    workspace.rows.resize(rows.size());
    cast_rows_ = workspace.rows.data();
    for (std::size_t r = 0; r < rows.size(); ++r) cast_row(rows[r], workspace.rows[r]);
  }

  const char* take() {
    if (std::any_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.cautious; }))
      scale_cautious_steps();
    run([&](std::size_t t, std::size_t begin, std::size_t end) {
      update(tensors_[t], begin, end);
    });
    return kernels_.isa;
  }

 private:
  // Calls do_part(tensor, begin, end) for all elements that have a gradient.
  template <class Part>
  void run(Part do_part) const {
    auto job = [&](int chunk) {
      const DenormalsFlushed flushed(flushing_);
      partition_.chunk(chunk, do_part);
    };
    crew_.run(partition_.division(), job);
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

  void update(const Tensor& tensor, std::size_t begin, std::size_t end) const {
    const Workspace::CastRow& row = cast_rows_[tensor.row];
    const UpdateFn kernel = row.kernels[tensor.dtype][tensor.span.average ? averaging : row.extras];
    const void* own = coefficients(tensor);
    if (!tensor.factors) return kernel(own, tensor.span, begin, end);
    with_factors(tensor, begin, end, [&](const Span& span, std::size_t from, std::size_t to) {
      kernel(own, span, from, to);
    });
  }

  // Liang et al. 2024, arXiv:2411.16085, Algorithm 2: what is left of a tensor's step grows by
  // size/(count + 1), where count is the number of elements left.
  void scale_cautious_steps() {
    std::vector<std::atomic<std::size_t>>& agreeing = workspace_.agreeing;
    if (agreeing.size() != tensors_.size())
      agreeing = std::vector<std::atomic<std::size_t>>(tensors_.size());
    for (std::atomic<std::size_t>& count : agreeing) count = 0;
    run([&](std::size_t t, std::size_t begin, std::size_t end) {
      const Tensor& tensor = tensors_[t];
      const Row& row = rows_[tensor.row];
      if (!row.cautious) return;
      const CountFn agree = kernels_.rules[row.rule].count_agreeing[tensor.dtype];
      const auto add = [&](const Span& span, std::size_t from, std::size_t to) {
        agreeing[t] += agree(coefficients(tensor), span, from, to);
      };
      if (tensor.factors)
        with_factors(tensor, begin, end, add);
      else
        add(tensor.span, begin, end);
    });
    for (std::size_t t = 0; t < tensors_.size(); ++t) {
      Span& span = tensors_[t].span;
      span.cautious_scale = static_cast<double>(span.size) / static_cast<double>(agreeing[t] + 1);
    }
  }

  std::vector<Tensor>& tensors_;
  const std::vector<Row>& rows_;
  Workspace& workspace_;
  const Crew& crew_;
  const KernelTable& kernels_;
  const Partition partition_;
  const Workspace::CastRow* cast_rows_;
  const bool flushing_ = flush_denormals();
};

std::atomic<bool> flushes_denormals{false};

}  // namespace

bool set_flush_denormals(bool on) { return flushes_denormals.exchange(on); }
bool flush_denormals() { return flushes_denormals; }

const char* update(std::vector<Tensor>& tensors, const std::vector<Row>& rows, Workspace& workspace,
                   const Crew& crew) {
  return Updater(tensors, rows, workspace, crew).take();
}

}  // namespace gradstep
