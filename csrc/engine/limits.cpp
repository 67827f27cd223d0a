#include "engine/limits.hpp"

#include <cmath>

#include "engine/dispatch.hpp"
#include "engine/parallel.hpp"

namespace gradstep {
namespace {

constexpr std::size_t units_per_task = 64;

struct Task {
  const Tensor* tensor;
  std::size_t first, last;  // units
  double* grad_sums;
  double* param_sums;
};

// Of units that alternate element by element: each is added up in the order of its elements.
template <class T>
void add_alternating(const void* values, const Tensor& tensor, const Task& task, double* sums) {
  const T* x = static_cast<const T*>(values);
  std::fill(sums + task.first, sums + task.last, 0.0);
  for (std::size_t start = 0; start < tensor.span.size; start += tensor.units)
    for (std::size_t u = task.first; u < task.last; ++u) {
      const double v = static_cast<double>(x[start + u]);
      sums[u] += v * v;
    }
}

// Of units that lie one after another: in blocks, as the norm of all gradients.
void add_consecutive(const void* values, const Tensor& tensor, const Task& task, double* sums) {
  const auto sum_squares = active_kernels().sum_squares[tensor.dtype];
  const std::size_t size = tensor.span.size / tensor.units;
  for (std::size_t u = task.first; u < task.last; ++u) {
    double sum = 0;
    for (std::size_t at = 0; at < size; at += norm_block) {
      const auto begin =
          static_cast<const char*>(values) + (u * size + at) * item_size(tensor.dtype);
      sum += sum_squares(begin, std::min(norm_block, size - at));
    }
    sums[u] = sum;
  }
}

void add_units(const void* values, const Task& task, double* sums) {
  const Tensor& tensor = *task.tensor;
  if (!tensor.alternating)
    add_consecutive(values, tensor, task, sums);
  else if (tensor.dtype == float32)
    add_alternating<float>(values, tensor, task, sums);
  else
    add_alternating<double>(values, tensor, task, sums);
}

bool adaptive(const Row& row) { return std::isfinite(row.clip_adaptive); }
bool limited(const Row& row) { return adaptive(row) || std::isfinite(row.clip_tensor_norm); }

// The sums of squares of every unit of the tensors that are clipped adaptively: of the gradient's
// elements, then of the parameter's.
void sum_units(const std::vector<Tensor>& tensors, const std::vector<Row>& rows,
               Workspace& workspace) {
  std::size_t sums = 0, elements = 0;
  for (const Tensor& tensor : tensors)
    if (present(tensor) && adaptive(rows[tensor.row])) {
      sums += 2 * tensor.units;
      elements += 2 * tensor.span.size;
    }
  workspace.unit_sums.resize(sums);
  std::vector<Task> tasks;
  double* next = workspace.unit_sums.data();
  for (const Tensor& tensor : tensors) {
    if (!present(tensor) || !adaptive(rows[tensor.row])) continue;
    for (std::size_t u = 0; u < tensor.units; u += units_per_task)
      tasks.push_back(
          {&tensor, u, std::min(u + units_per_task, tensor.units), next, next + tensor.units});
    next += 2 * tensor.units;
  }
  const int threads = threads_for(elements);
  auto job = [&](int thread) {
    for (std::size_t k = tasks.size() * thread / threads; k < tasks.size() * (thread + 1) / threads;
         ++k) {
      add_units(tasks[k].tensor->span.grad, tasks[k], tasks[k].grad_sums);
      add_units(tasks[k].tensor->span.param, tasks[k], tasks[k].param_sums);
    }
  };
  parallel(threads, job);
}

double reduction(double norm, double limit) {
  const double factor = limit / (norm + 1e-6);
  return factor < 1 ? factor : 1;
}

// Sets a tensor's factors; returns what is left of its sum of squares.
double set_factors(Tensor& tensor, const Row& row, double scale, double sum,
                   const double* unit_sums, double* factors) {
  tensor.factors = factors;
  double left = sum;
  if (unit_sums) {
    left = 0;
    for (std::size_t u = 0; u < tensor.units; ++u) {
      const double norm = std::sqrt(unit_sums[u]) * scale;
      const double weight = std::sqrt(unit_sums[tensor.units + u]);
      const double most =
          row.clip_adaptive * (weight > row.adaptive_eps ? weight : row.adaptive_eps);
      const double factor = most / (norm > 1e-6 ? norm : 1e-6);
      factors[u] = factor < 1 ? factor : 1;
      left += factors[u] * factors[u] * unit_sums[u];
    }
  } else {
    std::fill_n(factors, tensor.units, 1.0);
  }
  const double factor = reduction(std::sqrt(left) * scale, row.clip_tensor_norm);
  for (std::size_t u = 0; u < tensor.units; ++u) factors[u] *= factor;
  return factor * factor * left;
}

template <class T>
void apply(const Tensor& tensor, std::size_t begin, std::size_t end, T* to) {
  const T* grad = static_cast<const T*>(tensor.span.grad);
  if (tensor.alternating) {
    while (begin < end) {
      const double* factor = tensor.factors + begin % tensor.units;
      const std::size_t row_end = begin - begin % tensor.units + tensor.units;
      const std::size_t count = std::min(row_end, end) - begin;
      for (std::size_t i = 0; i < count; ++i) to[i] = grad[begin + i] * static_cast<T>(factor[i]);
      begin += count;
      to += count;
    }
  } else {
    const std::size_t size = tensor.span.size / tensor.units;
    while (begin < end) {
      const std::size_t unit = begin / size;
      const T factor = static_cast<T>(tensor.factors[unit]);
      const std::size_t count = std::min((unit + 1) * size, end) - begin;
      for (std::size_t i = 0; i < count; ++i) to[i] = grad[begin + i] * factor;
      begin += count;
      to += count;
    }
  }
}

}  // namespace

double limit_gradients(std::vector<Tensor>& tensors, std::vector<Row>& rows, double scale,
                       Workspace& workspace) {
  for (Tensor& tensor : tensors) tensor.factors = nullptr;
  scale = std::fabs(scale);
  double left = sum_of_squares(tensors, workspace);
  const double norm = std::sqrt(left) * scale;
  if (std::any_of(rows.begin(), rows.end(), limited)) {
    sum_units(tensors, rows, workspace);
    std::size_t units = 0;
    for (const Tensor& tensor : tensors) units += tensor.units;
    workspace.factors.resize(units);
    const double* unit_sums = workspace.unit_sums.data();
    double* factors = workspace.factors.data();
    left = 0;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      Tensor& tensor = tensors[t];
      const Row& row = rows[tensor.row];
      if (!present(tensor)) continue;
      const double sum = workspace.tensor_sums[t];
      if (limited(row)) {
        left += set_factors(tensor, row, scale, sum, adaptive(row) ? unit_sums : nullptr, factors);
        factors += tensor.units;
        if (adaptive(row)) unit_sums += 2 * tensor.units;
      } else {
        left += sum;
      }
    }
  }
  const double clipped = std::sqrt(left) * scale;
  for (Row& row : rows) row.shared[grad_scale] *= reduction(clipped, row.clip_norm);
  return norm;
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
