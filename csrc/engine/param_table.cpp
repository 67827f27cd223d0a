#include "engine/param_table.hpp"

#include <algorithm>

#include "engine/dispatch.hpp"
#include "engine/parallel.hpp"

namespace gradstep {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t blocks_per_wave = 4096;
constexpr std::size_t turn_chunk = 4096;  // elements that are run forwards in a backward step

std::size_t item_size(DType dtype) { return dtype == float32 ? 4 : 8; }

bool present(const Tensor& tensor) { return tensor.span.grad != nullptr; }

std::size_t blocks_of(const Tensor& tensor) {
  return present(tensor) ? (tensor.span.size + norm_block - 1) / norm_block : 0;
}

std::size_t elements_of(const Tensor& tensor) { return present(tensor) ? tensor.span.size : 0; }

// ends[i] is the number of units (elements, blocks) in tensors 0..i.
template <class Count>
void accumulate(const std::vector<Tensor>& tensors, Count count, std::vector<std::size_t>& ends) {
  ends.clear();
  std::size_t total = 0;
  for (const Tensor& tensor : tensors) ends.push_back(total += count(tensor));
}

std::size_t tensor_at(const std::vector<std::size_t>& ends, std::size_t unit) {
  return std::upper_bound(ends.begin(), ends.end(), unit) - ends.begin();
}

// `index` moved on to the next element that starts a cache line of the parameter.
std::size_t at_cache_line(const Tensor& tensor, std::size_t index) {
  const std::size_t per_line = cache_line / item_size(tensor.dtype);
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.span.param);
  const std::size_t lead = (address % cache_line) / item_size(tensor.dtype);
  return std::min((index + lead + per_line - 1) / per_line * per_line - lead, tensor.span.size);
}

struct Border {
  std::size_t tensor, index;
};

class Updater {
 public:
  Updater(const std::vector<Tensor>& tensors, const std::vector<Row>& rows,
          std::vector<Workspace::CastRow>& cast)
      : tensors_(tensors), rows_(rows), kernels_(active_kernels()), cast_(cast) {
    cast_.resize(rows.size());
    for (std::size_t r = 0; r < rows.size(); ++r) cast_row(rows[r], cast_[r]);
  }

  const char* isa() const { return kernels_.isa; }

  // The elements between two borders, each a tensor and an index within it.
  void run(Border from, Border to, bool backwards) const {
    const auto run_part = [&](std::size_t t) {
      if (t == tensors_.size() || !present(tensors_[t])) return;
      const std::size_t begin = t == from.tensor ? from.index : 0;
      const std::size_t end = t == to.tensor ? to.index : tensors_[t].span.size;
      if (backwards)
        run_backwards(tensors_[t], begin, end);
      else
        run(tensors_[t], begin, end);
    };
    if (backwards)
      for (std::size_t t = to.tensor + 1; t-- > from.tensor;) run_part(t);
    else
      for (std::size_t t = from.tensor; t <= to.tensor; ++t) run_part(t);
  }

 private:
  void cast_row(const Row& row, Workspace::CastRow& to) const {
    const std::size_t own = kernels_.rules[row.rule].coefficient_count;
    std::copy_n(row.shared, int{shared_count}, to.as_float64);
    std::copy_n(row.own, own, to.as_float64 + shared_count);
    for (std::size_t c = 0; c < shared_count + own; ++c)
      to.as_float32[c] = static_cast<float>(to.as_float64[c]);
  }

  void run(const Tensor& tensor, std::size_t begin, std::size_t end) const {
    if (begin >= end) return;
    const Row& row = rows_[tensor.row];
    const Workspace::CastRow& cast = cast_[tensor.row];
    const void* coefficients = tensor.dtype == float32 ? static_cast<const void*>(cast.as_float32)
                                                       : static_cast<const void*>(cast.as_float64);
    const Extras extras = tensor.span.average ? averaging : row.extras;
    kernels_.rules[row.rule].update[tensor.dtype][extras](coefficients, tensor.span, begin, end);
  }

  void run_backwards(const Tensor& tensor, std::size_t begin, std::size_t end) const {
    while (end > begin) {
      const std::size_t chunk = end - begin > turn_chunk ? end - turn_chunk : begin;
      run(tensor, chunk, end);
      end = chunk;
    }
  }

  const std::vector<Tensor>& tensors_;
  const std::vector<Row>& rows_;
  const KernelTable& kernels_;
  std::vector<Workspace::CastRow>& cast_;
};

}  // namespace

const char* update(const std::vector<Tensor>& tensors, const std::vector<Row>& rows,
                   Workspace& workspace) {
  const Updater updater(tensors, rows, workspace.rows);
  std::size_t total = 0;
  for (const Tensor& tensor : tensors) total += elements_of(tensor);
  const int threads = threads_for(total);
  const bool backwards = workspace.backwards = !workspace.backwards;
  if (threads == 1) {
    updater.run({0, 0}, {tensors.size(), 0}, backwards);
    return updater.isa();
  }

  std::vector<std::size_t>& ends = workspace.ends;
  accumulate(tensors, elements_of, ends);
  const auto border = [&](int thread) -> Border {
    if (thread == threads) return {tensors.size(), 0};
    const std::size_t unit = total / threads * thread + total % threads * thread / threads;
    const std::size_t tensor = tensor_at(ends, unit);
    const std::size_t start = ends[tensor] - tensors[tensor].span.size;
    return {tensor, unit == start ? 0 : at_cache_line(tensors[tensor], unit - start)};
  };
  auto job = [&](int thread) { updater.run(border(thread), border(thread + 1), backwards); };
  parallel(threads, job);
  return updater.isa();
}

double sum_of_squares(const std::vector<Tensor>& tensors, Workspace& workspace) {
  const KernelTable& kernels = active_kernels();
  std::vector<std::size_t>& ends = workspace.ends;
  accumulate(tensors, blocks_of, ends);
  const std::size_t blocks = ends.empty() ? 0 : ends.back();
  std::vector<double>& sums = workspace.block_sums;
  sums.resize(std::min(blocks, blocks_per_wave));

  double total = 0, tensor_sum = 0;
  std::size_t adding = 0;  // the tensor whose blocks are being added
  for (std::size_t wave = 0; wave < blocks; wave += blocks_per_wave) {
    const std::size_t in_wave = std::min(blocks - wave, blocks_per_wave);
    const int threads = threads_for(in_wave * norm_block);
    auto job = [&](int thread) {
      const std::size_t last = wave + in_wave * (thread + 1) / threads;
      std::size_t block = wave + in_wave * thread / threads;
      for (std::size_t t = tensor_at(ends, block); block < last; ++t) {
        const Tensor& tensor = tensors[t];
        const std::size_t first = ends[t] - blocks_of(tensor);
        for (; block < std::min(last, ends[t]); ++block) {
          const std::size_t begin = (block - first) * norm_block;
          const std::size_t count = std::min(norm_block, tensor.span.size - begin);
          const char* grad = static_cast<const char*>(tensor.span.grad);
          sums[block - wave] =
              kernels.sum_squares[tensor.dtype](grad + begin * item_size(tensor.dtype), count);
        }
      }
    };
    parallel(threads, job);
    for (std::size_t b = 0; b < in_wave; ++b) {
      for (; wave + b == ends[adding]; ++adding) {
        total += tensor_sum;
        tensor_sum = 0;
      }
      tensor_sum += sums[b];
    }
  }
  return total + tensor_sum;
}

void stream(DType dtype, const void* read, void* const* written, std::size_t count,
            std::size_t size) {
  const StreamFn run = active_kernels().stream[dtype][count - 1];
  const int threads = threads_for(size);
  auto job = [&](int thread) {
    run(read, written, size / threads * thread,
        thread + 1 == threads ? size : size / threads * (thread + 1));
  };
  parallel(threads, job);
}

}  // namespace gradstep
