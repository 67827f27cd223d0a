// The parameters of an optimizer as one flat range of elements, and one step over it.
//
// Knows addresses, sizes and dtypes; not where they come from, and not what a rule computes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/kernel_table.hpp"
#include "engine/parallel.hpp"

namespace gradstep {

// A tensor and the row of coefficients it is updated with. `span.grad` is null where the tensor has
// no gradient in this step.
struct Tensor {
  Span span;
  DType dtype;
  std::uint32_t row;
  std::uint32_t cost;  // see element_cost
  // Slices along the last axis: next to each other in memory, or alternating element by element.
  std::size_t units;
  bool alternating;
  const void* factors;  // what limits leave of each unit's gradient, in `dtype`; null: all
};

inline bool present(const Tensor& tensor) { return tensor.span.grad != nullptr; }

inline std::size_t item_size(DType dtype) { return dtype == float32 ? 4 : 8; }

// How much work an element is, in elements of plain SGD in float32.
inline std::uint32_t element_cost(const RuleInfo& rule, DType dtype) {
  return rule.cost * (dtype == float32 ? 1 : 2);
}

// What a step does to the tensors that share one rule, one set of hyperparameters and one step
// count. `shared` is as in SharedCoefficient; its grad_scale holds the sign and scale of the row.
struct Row {
  std::size_t rule;
  Extras extras;  // for tensors without an average
  bool cautious;
  // Limits of norms; infinity: off.
  double clip_norm, clip_tensor_norm, clip_adaptive;
  double adaptive_eps;
  double shared[shared_count];
  double own[max_coefficients - shared_count];
};

// Room that a step works in, kept from step to step.
struct Workspace {
  // A row's kernels and its coefficients, cast once to each compute type.
  struct CastRow {
    const UpdateFn* kernels[dtype_count];
    Extras extras;
    float as_float32[max_coefficients];
    double as_float64[max_coefficients];
  };
  std::vector<CastRow> rows;
  std::vector<std::size_t> ends;  // the units (elements, blocks) in all tensors up to each
  std::vector<double> block_sums, tensor_sums, unit_sums, factors;
  std::vector<float> float_factors;
  bool limited = false;                            // whether tensors hold limits of a step
  std::vector<std::atomic<std::size_t>> agreeing;  // by tensor: elements whose step suits g
};

// The sum of squares of all gradients: by blocks of norm_block elements from each tensor's start,
// blocks added in order to their tensor's sum, which is kept in the workspace, and those in order
// to the total. The same bits for every thread count.
double sum_of_squares(const std::vector<Tensor>& tensors, Workspace& workspace, const Crew& crew);

// Updates every tensor that has a gradient, in one parallel job; where rows are cautious, after
// another one that counts. Returns the name of the instruction set whose kernels did it.
const char* update(std::vector<Tensor>& tensors, const std::vector<Row>& rows, Workspace& workspace,
                   const Crew& crew);

// Adds `read` to each of `count` equally long arrays: the traffic of an update, for comparison, on
// as many threads as one whose elements cost `cost`.
void stream(DType dtype, const void* read, void* const* written, std::size_t count,
            std::size_t size, std::uint32_t cost);

}  // namespace gradstep
