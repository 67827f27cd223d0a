// The parameters of an optimizer as one flat range of elements, and one step over it.
//
// Knows addresses, sizes and formats; not where they come from, and not what a rule computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/kernel_table.hpp"
#include "engine/parallel.hpp"

namespace gradstep {

class Factored;

// What an array is to its tensor. As bits: the roles that something is about.
enum Role : std::uint32_t {
  param_role = 1,
  grad_role = 2,
  average_role = 4,
  copy_role = 8,
  slot_role = 16,  // of the first slot; the next bits are those of the others
  all_roles = ~0u
};

inline std::uint32_t role_of_slot(std::size_t slot) { return std::uint32_t{slot_role} << slot; }

// Where the elements of an array lie, if not one after another in the order of its parameter's
// memory: its axes in that order, the outermost first, lengths in elements and strides in bytes.
struct Axes {
  struct Axis {
    std::size_t length;
    std::ptrdiff_t stride;
  };
  std::vector<Axis> of;
  bool turned;  // whether elements next to each other lie far apart, and others next to them
};

// A tensor and the row of coefficients it is updated with. `span.grad.data` is null where the
// tensor has no gradient in this step.
struct Tensor {
  Span span;
  DType dtype;           // of the arithmetic
  std::uint32_t staged;  // roles whose arrays kernels cannot take as they are: see stage.hpp
  std::uint32_t narrow;  // those of them that are so in every step
  std::uint32_t row;
  std::uint32_t cost;  // see element_cost
  // Slices along the last axis or the first: next to each other in memory, or alternating element
  // by element.
  std::size_t units;
  bool alternating;
  const Axes* axes;     // of the gradient, where it is staged; null: as its parameter
  const void* factors;  // what limits leave of each unit's gradient, in `dtype`; null: all
  // Where rounding draws: what stands for the parameter, and the numbers of its elements, with
  // strides in these; null: in the order of memory.
  std::uint64_t key;
  const Axes* numbers;
  double* scalars[max_scalars];  // that the rule keeps of the tensor
  Factored* factored;            // what stands for the first slot, of matrices; null: its elements
  void *kept_param, *kept_copy;  // where bits are kept before they are overwritten; null: nowhere
  const void* start;  // the bits that the parameter is to have when it is updated; null: its own
  // Of a part of a tensor: how many elements of the whole come before it, and how many after.
  std::size_t before, after;
};

inline std::size_t whole_size(const Tensor& tensor) {
  return tensor.before + tensor.span.size + tensor.after;
}

inline bool present(const Tensor& tensor) { return tensor.span.grad.data != nullptr; }

inline std::size_t item_size(DType dtype) { return dtype == float32 ? 4 : 8; }

inline std::size_t item_size(Format format) { return item_bytes[static_cast<std::size_t>(format)]; }

// Of what lies beside so many elements; those in 8 bits fill blocks.
inline std::size_t bytes_beside(Format format, std::size_t elements) {
  return item_size(format) == 1 ? elements / scale_block * sizeof(float) : elements * 2;
}

// How values of a compute type are stored that kernels take in place.
inline Format stored(DType dtype) { return static_cast<Format>(dtype); }

inline bool is_plain(Format format) { return format <= Format::float64; }
inline DType compute_type(Format format) { return format == Format::float64 ? float64 : float32; }

// The roles of arrays that are not stored in a compute type.
std::uint32_t narrow_roles(const Tensor& tensor);

// How much work an element is, in elements of plain SGD in float32.
inline std::uint32_t element_cost(const RuleInfo& rule, DType dtype) {
  return rule.cost * (dtype == float32 ? 1 : 2);
}

// What a step does to the tensors that share one rule, one set of hyperparameters and one step
// count. `shared` is as in SharedCoefficient; its grad_scale is what clip_norm leaves of `scale`.
struct Row {
  std::size_t rule;
  Extras extras;  // for tensors without an average
  bool cautious;
  double scale;  // of the gradients, with the row's sign
  // Limits of norms; infinity: off.
  double clip_norm, clip_tensor_norm, clip_adaptive;
  double adaptive_eps;
  std::uint64_t draws;  // stands for the step where rounding draws; else 0
  double shared[shared_count];
  double own[max_coefficients - shared_count];
};

// Adds `read` to each of `count` equally long arrays: the traffic of an update, for comparison, on
// as many threads as one whose elements cost `cost`.
void stream(DType dtype, const void* read, void* const* written, std::size_t count,
            std::size_t size, std::uint32_t cost);

}  // namespace gradstep
