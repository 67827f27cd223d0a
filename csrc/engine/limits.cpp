#include "engine/limits.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/dispatch.hpp"
#include "engine/measure.hpp"

namespace gradstep {
namespace {

bool adaptive(const Row& row) { return std::isfinite(row.clip_adaptive); }
bool limited(const Row& row) { return adaptive(row) || std::isfinite(row.clip_tensor_norm); }

// The sums of squares of every unit of the tensors that are clipped adaptively: of the gradient's
// elements, and of the parameter's.
void sum_units(const std::vector<Tensor>& tensors, const std::vector<Row>& rows,
               Workspace& workspace, const Crew& crew) {
  std::size_t count = 0;
  for (const Tensor& tensor : tensors)
    if (present(tensor) && adaptive(rows[tensor.row])) count += tensor.units;
  workspace.unit_grads.assign(count, 0.0);
  workspace.unit_params.assign(count, 0.0);
  workspace.factors.resize(count);
  workspace.float_factors.resize(count);
  double *grads = workspace.unit_grads.data(), *params = workspace.unit_params.data();
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const Tensor& tensor = tensors[t];
    if (!present(tensor) || !adaptive(rows[tensor.row])) continue;
    if (tensor.units == 1)
      *grads = workspace.tensor_sums[t];
    else
      workspace.measures.add(squares(tensor, units(tensor), grad_role, grads));
    workspace.measures.add(squares(tensor, units(tensor), param_role, params));
    grads += tensor.units;
    params += tensor.units;
  }
  workspace.measures.take(crew);
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
double limit_units(Tensor& tensor, const Row& row, double scale, const double* grads,
                   const double* params, double* factors, float* float_factors) {
  double left = 0;
  for (std::size_t u = 0; u < tensor.units; ++u) {
    const double norm = std::sqrt(grads[u]) * scale;
    const double weight = std::sqrt(params[u]);
    const double most = row.clip_adaptive * (weight > row.adaptive_eps ? weight : row.adaptive_eps);
    const double factor = most / (norm > 1e-6 ? norm : 1e-6);
    factors[u] = factor < 1 ? factor : 1;
    left += factors[u] * factors[u] * grads[u];
  }
  left = limit_tensor(tensor, row, scale, left);
  if (tensor.units == 1) {
    tensor.span.limit *= factors[0];
    return left;
  }
  std::copy_n(factors, tensor.units, float_factors);
  tensor.factors = tensor.dtype == float32 ? static_cast<const void*>(float_factors) : factors;
  tensor.staged |= grad_role;
  return left;
}

// Sets what the limits of its row leave of every tensor; returns the sum of squares then.
double limit_tensors(std::vector<Tensor>& tensors, const std::vector<Row>& rows, double scale,
                     Workspace& workspace, const Crew& crew) {
  sum_units(tensors, rows, workspace, crew);
  std::size_t at = 0;
  double left = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    Tensor& tensor = tensors[t];
    const Row& row = rows[tensor.row];
    if (!present(tensor)) continue;
    if (adaptive(row)) {
      left += limit_units(tensor, row, scale, &workspace.unit_grads[at], &workspace.unit_params[at],
                          &workspace.factors[at], &workspace.float_factors[at]);
      at += tensor.units;
    } else {
      left += limit_tensor(tensor, row, scale, workspace.tensor_sums[t]);
    }
  }
  return left;
}

}  // namespace

double sum_of_squares(const std::vector<Tensor>& tensors, Workspace& workspace, const Crew& crew) {
  std::vector<double>& sums = workspace.tensor_sums;
  sums.assign(tensors.size(), 0.0);
  for (std::size_t t = 0; t < tensors.size(); ++t)
    if (present(tensors[t]))
      workspace.measures.add(squares(tensors[t], whole_tensor(), grad_role, &sums[t]));
  workspace.measures.take(crew);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

double limit_gradients(std::vector<Tensor>& tensors, std::vector<Row>& rows, double scale,
                       Workspace& workspace, const Crew& crew) {
  lift_limits(tensors, workspace);
  workspace.measures.clear();
  scale = std::fabs(scale);
  double left = sum_of_squares(tensors, workspace, crew);
  const double norm = std::sqrt(left) * scale;
  workspace.limited = std::any_of(rows.begin(), rows.end(), limited);
  if (workspace.limited) left = limit_tensors(tensors, rows, scale, workspace, crew);
  const double clipped = std::sqrt(left) * scale;
  for (Row& row : rows) row.shared[grad_scale] = row.scale * reduction(clipped, row.clip_norm);
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

}  // namespace gradstep
