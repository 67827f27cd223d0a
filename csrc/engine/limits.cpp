#include "engine/limits.hpp"

#include <algorithm>
#include <cmath>

#include "engine/dispatch.hpp"
#include "engine/parallel.hpp"

namespace gradstep {
namespace {

constexpr std::size_t fewest_units = 64, most_units = 8192;  // of a task

// Units whose squares are to be added up: of a tensor's gradient or of its parameter.
struct Task {
  const Tensor* tensor;
  const void* values;
  double* sums;
  std::size_t first, last;
};

// Of units that alternate element by element: each in the order of its elements.
void add_alternating(const Task& task) {
  const Tensor& tensor = *task.tensor;
  const std::size_t rows = tensor.span.size / tensor.units;
  std::fill(task.sums + task.first, task.sums + task.last, 0.0);
  active_kernels().sum_columns[tensor.dtype](
      static_cast<const char*>(task.values) + task.first * item_size(tensor.dtype), rows,
      tensor.units, task.last - task.first, task.sums + task.first);
}

// Of units that lie one after another: in blocks, as the norm of all gradients.
void add_consecutive(const Task& task) {
  const Tensor& tensor = *task.tensor;
  const auto sum_squares = active_kernels().sum_squares[tensor.dtype];
  const std::size_t size = tensor.span.size / tensor.units;
  for (std::size_t u = task.first; u < task.last; ++u) {
    double sum = 0;
    for (std::size_t at = 0; at < size; at += norm_block) {
      const auto begin =
          static_cast<const char*>(task.values) + (u * size + at) * item_size(tensor.dtype);
      sum += sum_squares(begin, std::min(norm_block, size - at));
    }
    task.sums[u] = sum;
  }
}

bool adaptive(const Row& row) { return std::isfinite(row.clip_adaptive); }
bool limited(const Row& row) { return adaptive(row) || std::isfinite(row.clip_tensor_norm); }

// The sums of squares of every unit of the tensors that are clipped adaptively: of the gradient's
// elements, then of the parameter's.
void sum_units(const std::vector<Tensor>& tensors, const std::vector<Row>& rows,
               Workspace& workspace, const Crew& crew) {
  std::size_t sums = 0, elements = 0;
  for (const Tensor& tensor : tensors)
    if (present(tensor) && adaptive(rows[tensor.row])) {
      sums += 2 * tensor.units;
      elements += 2 * tensor.span.size;
    }
  workspace.unit_sums.resize(sums);
  const int threads = crew.divide(elements).threads;
  std::vector<Task> tasks;
  double* next = workspace.unit_sums.data();
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const Tensor& tensor = tensors[t];
    if (!present(tensor) || !adaptive(rows[tensor.row])) continue;
    const std::size_t units = tensor.units;
    const std::size_t width = std::clamp(units / threads, fewest_units, most_units);
    if (units == 1) next[0] = workspace.tensor_sums[t];
    for (std::size_t u = 0; u < units; u += width) {
      const std::size_t last = std::min(u + width, units);
      if (units > 1) tasks.push_back({&tensor, tensor.span.grad, next, u, last});
      tasks.push_back({&tensor, tensor.span.param, next + units, u, last});
    }
    next += 2 * units;
  }
  auto job = [&](int k) {
    tasks[k].tensor->alternating ? add_alternating(tasks[k]) : add_consecutive(tasks[k]);
  };
  crew.run({threads, static_cast<int>(tasks.size())}, job);
}

double reduction(double norm, double limit) {
  const double factor = limit / (norm + 1e-6);
  return factor < 1 ? factor : 1;
}

// Sets what clip_tensor_norm leaves of a tensor; returns its sum of squares then.
double limit_tensor(Tensor& tensor, const Row& row, double scale, double sum) {
  tensor.span.limit = reduction(std::sqrt(sum) * scale, row.clip_tensor_norm);
  return tensor.span.limit * tensor.span.limit * sum;
}

// The same after clip_adaptive, which leaves a factor of each unit.
double limit_units(Tensor& tensor, const Row& row, double scale, const double* unit_sums,
                   double* factors, float* float_factors) {
  double left = 0;
  for (std::size_t u = 0; u < tensor.units; ++u) {
    const double norm = std::sqrt(unit_sums[u]) * scale;
    const double weight = std::sqrt(unit_sums[tensor.units + u]);
    const double most = row.clip_adaptive * (weight > row.adaptive_eps ? weight : row.adaptive_eps);
    const double factor = most / (norm > 1e-6 ? norm : 1e-6);
    factors[u] = factor < 1 ? factor : 1;
    left += factors[u] * factors[u] * unit_sums[u];
  }
  left = limit_tensor(tensor, row, scale, left);
  if (tensor.units == 1) {
    tensor.span.limit *= factors[0];
  } else if (tensor.dtype == float32) {
    std::copy_n(factors, tensor.units, float_factors);
    tensor.factors = float_factors;
  } else {
    tensor.factors = factors;
  }
  return left;
}

// Sets what the limits of its row leave of every tensor; returns the sum of squares then.
double limit_tensors(std::vector<Tensor>& tensors, const std::vector<Row>& rows, double scale,
                     Workspace& workspace, const Crew& crew) {
  sum_units(tensors, rows, workspace, crew);
  workspace.factors.resize(workspace.unit_sums.size() / 2);
  workspace.float_factors.resize(workspace.unit_sums.size() / 2);
  const double* unit_sums = workspace.unit_sums.data();
  std::size_t at = 0;
  double left = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    Tensor& tensor = tensors[t];
    const Row& row = rows[tensor.row];
    if (!present(tensor)) continue;
    if (adaptive(row)) {
      left += limit_units(tensor, row, scale, unit_sums + 2 * at, &workspace.factors[at],
                          &workspace.float_factors[at]);
      at += tensor.units;
    } else {
      left += limit_tensor(tensor, row, scale, workspace.tensor_sums[t]);
    }
  }
  return left;
}

template <class T>
void apply(const Tensor& tensor, std::size_t begin, std::size_t end, T* to) {
  const T* grad = static_cast<const T*>(tensor.span.grad);
  const T* factors = static_cast<const T*>(tensor.factors);
  if (tensor.alternating) {
    while (begin < end) {
      const T* factor = factors + begin % tensor.units;
      const std::size_t row_end = begin - begin % tensor.units + tensor.units;
      const std::size_t count = std::min(row_end, end) - begin;
      for (std::size_t i = 0; i < count; ++i) to[i] = grad[begin + i] * factor[i];
      begin += count;
      to += count;
    }
  } else {
    const std::size_t size = tensor.span.size / tensor.units;
    while (begin < end) {
      const std::size_t unit = begin / size;
      const std::size_t count = std::min((unit + 1) * size, end) - begin;
      for (std::size_t i = 0; i < count; ++i) to[i] = grad[begin + i] * factors[unit];
      begin += count;
      to += count;
    }
  }
}

}  // namespace

double limit_gradients(std::vector<Tensor>& tensors, std::vector<Row>& rows, double scale,
                       Workspace& workspace, const Crew& crew) {
  lift_limits(tensors, workspace);
  scale = std::fabs(scale);
  double left = sum_of_squares(tensors, workspace, crew);
  const double norm = std::sqrt(left) * scale;
  workspace.limited = std::any_of(rows.begin(), rows.end(), limited);
  if (workspace.limited) left = limit_tensors(tensors, rows, scale, workspace, crew);
  const double clipped = std::sqrt(left) * scale;
  for (Row& row : rows) row.shared[grad_scale] *= reduction(clipped, row.clip_norm);
  return norm;
}

void lift_limits(std::vector<Tensor>& tensors, Workspace& workspace) {
  if (!workspace.limited) return;
  for (Tensor& tensor : tensors) {
    tensor.span.limit = 1;
    tensor.factors = nullptr;
  }
  workspace.limited = false;
}

void apply_factors(const Tensor& tensor, std::size_t begin, std::size_t end, void* to) {
  if (tensor.dtype == float32)
    apply(tensor, begin, end, static_cast<float*>(to));
  else
    apply(tensor, begin, end, static_cast<double*>(to));
}

Span advanced(const Tensor& tensor, std::size_t begin) {
  const std::size_t bytes = begin * item_size(tensor.dtype);
  Span span = tensor.span;
  span.param = static_cast<char*>(span.param) + bytes;
  for (void*& slot : span.slots)
    if (slot) slot = static_cast<char*>(slot) + bytes;
  if (span.average) span.average = static_cast<char*>(span.average) + bytes;
  return span;
}

}  // namespace gradstep
