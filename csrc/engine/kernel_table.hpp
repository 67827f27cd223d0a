// What one instruction set offers: the table that each compilation of kernels.cpp exports.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/vector_kernels.hpp"

namespace gradstep {

// What arithmetic is done in.
enum DType : int { float32, float64, dtype_count };

// How elements are stored: those of gradients first, and of them the compute types. What follows is
// written with another rounding than to nearest, or with something beside: see packing.hpp.
enum class Format : uint8_t {
  float32,
  float64,
  float16,
  bfloat16,
  float16_stochastic,
  bfloat16_stochastic,
  float16_kahan,
  bfloat16_kahan,
  bfloat16_split,
  float16_dithered,
  bfloat16_dithered,
  moments8,
  squares8,
  count
};
constexpr size_t format_count = static_cast<size_t>(Format::count);
constexpr size_t gradient_formats = 4;
constexpr size_t item_bytes[format_count] = {4, 8, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1};

// How much of the shared arithmetic around a rule a loop carries. `lean` scales the gradient and
// decays the parameter; `full` adds clip-by-value, coupled decay and proximal L1; `averaging` adds
// the moving average to that.
enum Extras : int { lean, full, averaging, extras_count };

// Of a loop that converts in registers: what it takes as it is stored, all else being float32.
enum Narrow : int {
  bfloat16_grad,
  bfloat16_state,
  bfloat16_grad_and_state,
  bfloat16_grad_and_copy,
  bfloat16_all,
  bfloat16_all_split,
  coded_state,  // in 8 bits
  narrow_count
};

// The coefficients of the shared arithmetic, which stand before the rule's own.
enum SharedCoefficient : int {
  grad_scale,
  clip_value,
  l2,
  decay,
  l1,
  average_keep,
  average_take,
  shared_count
};

// What rounding draws from: `first` and `second` stand for a tensor's step, and each element has a
// number, that of the first and how far the next are apart. See packing.hpp.
struct DrawKey {
  uint32_t first, second;
  uint32_t number, apart;

  // For one of the tensor's arrays; for elements from the `i`-th on.
  DrawKey of_array(uint32_t array) const { return {first + array * second, second, number, apart}; }
  DrawKey from(size_t i) const {
    return {first, second, number + static_cast<uint32_t>(i) * apart, apart};
  }
};
constexpr uint32_t weyl = 0x9e3779b9u;  // 2^32/φ: how far apart the draws of dither are
constexpr uint32_t param_draws = 0, average_draws = 1, slot_draws = 2;

constexpr size_t max_slots = 8;
constexpr size_t max_coefficients = 32;
// Of rules whose steps depend on whole tensors: sums over the elements of one, scalars that are
// kept of it, and coefficients that are derived from both.
constexpr size_t max_sums = 2, max_scalars = 3, max_derived = 7;
constexpr size_t norm_block = 1024;
constexpr size_t scale_block = 256;                   // elements in 8 bits that share a scale
constexpr size_t most_roots = 2, most_quotients = 3;  // of an element, in any rule

struct Array {
  void* data;
  void* beside;  // what belongs to the array and is none of its values: scales, say; mostly null
  Format format;
};

// The memory of one tensor, or of a run of its elements: all arrays have `size` elements. Kernels
// take it in the compute type; the gradient is only read.
struct Span {
  Array param, grad;
  size_t size;
  double limit = 1;       // what limits by norm leave of the gradient as a whole
  double cautious_scale;  // what cautious steps are multiplied with
  const double* derived;  // the rule's coefficients that follow from sums
  Array average;
  Array copy;  // of the updated parameter, in another format; only written
  Array slots[max_slots];
  DrawKey draws;
};

// Updates elements [begin, end) of the span. `coefficients` are shared_count + the rule's, in the
// compute type.
using UpdateFn = void (*)(const void* coefficients, const Span& span, size_t begin, size_t end);

// One sum or several over elements [begin, end), at most norm_block of them, in float64 and in the
// contract's order. Changes nothing but `sums`.
using MeasureFn = void (*)(const void* coefficients, const Span& span, size_t begin, size_t end,
                           double* sums);

// What a rule's steps take of whole tensors. Of those that take nothing all is zero.
struct WholeTensors {
  size_t sum_count, scalar_count, derived_count;
  const char* const* scalars;
  const char* const* derived;
  bool of_all;  // whether sums are over all tensors together, and the scalars of all the same
  // Of a rule of factors: the share that their averages take, and the least mean of rows.
  void (*factors)(const double* own, double* share, double* least);
  MeasureFn sums[dtype_count];
  // Derives what the sums depend on.
  void (*begin)(const double* own, const double* scalars, double* derived);
  // Derives the rest from sums over `size` elements, and brings the scalars up to date.
  void (*conclude)(const double* own, const double* sums, double size, double* scalars,
                   double* derived);
  // Derives what follows from the new scalars; may be null.
  void (*finish)(const double* own, const double* scalars, double* derived);
};

// Reads `count` elements, `stride` bytes apart, into the compute type.
using LoadFn = void (*)(const void* from, ptrdiff_t stride, size_t count, void* to);

// Reads elements [begin, begin + count) of an array into float32, and writes them back. In 8 bits
// both begin where a scale does.
using UnpackFn = void (*)(const Array& array, size_t begin, size_t count, void* to);
using PackFn = void (*)(const Array& array, size_t begin, size_t count, const DrawKey& key,
                        const void* from);

struct Packing {
  UnpackFn unpack;
  PackFn pack;
};

// Reads rows of elements that are `along` bytes apart; the rows, `across`. Every row comes to lie
// `pitch` elements behind the one before. For elements of which those across share cache lines.
using LoadTurnedFn = void (*)(const void* from, ptrdiff_t along, ptrdiff_t across, size_t rows,
                              size_t columns, void* to, size_t pitch);

// Adds the squares of the elements in each of `units` columns to the column's sum, row by row.
// Row r begins at values + r * stride.
using SumColumnsFn = void (*)(const void* values, size_t rows, size_t stride, size_t units,
                              double* sums);

// The same, and writes the sums of every row's blocks of norm_block elements.
using SumTileFn = void (*)(const void* values, size_t rows, size_t stride, size_t columns,
                           double* of_columns, double* of_blocks);

// Multiplies `count` elements by one.
using ScaleFn = void (*)(const void* of, const void* by, size_t count, void* to);

// 1/√(x/over) of `count` elements x.
using InverseRootsFn = void (*)(const void* of, double over, size_t count, void* to);

// Reads one array and rewrites `written` others: the memory traffic of a rule without its
// arithmetic, for measuring the roofline.
using StreamFn = void (*)(const void* read, void* const* written, size_t begin, size_t end);

// So many roots of `by` and then quotients of `of` by that, for each of `count` elements: what
// bounds an update in cache.
using DivideFn = void (*)(const void* of, const void* by, void* to, size_t count);

struct RuleInfo {
  const char* name;
  const char* const* coefficients;
  size_t coefficient_count;
  const char* const* slots;
  size_t slot_count;
  unsigned squares;  // which slots hold squares, by their place
  unsigned cost;     // of an element in float32, for deciding how many threads a step is worth
  UpdateFn update[dtype_count][extras_count];
  // Of arrays that are converted in registers; null where the stage converts.
  UpdateFn narrow_update[narrow_count][extras_count];
  // Cautious updates, Liang et al. 2024; null for rules without momentum, whose steps all agree.
  UpdateFn cautious_update[dtype_count][extras_count];
  // How many elements a step would move against their gradient.
  MeasureFn agreeing[dtype_count];
  WholeTensors whole;
  const RuleInfo* of_factors;  // what it is where its first slot is kept by factors; mostly null
};

struct KernelTable {
  const char* isa;
  const RuleInfo* rules;
  size_t rule_count;
  // The squares of the gradient's elements; of the parameter's.
  MeasureFn grad_squares[dtype_count], param_squares[dtype_count];
  SumColumnsFn sum_columns[dtype_count];
  SumTileFn sum_tile[dtype_count];
  LoadFn load[gradient_formats][dtype_count];
  LoadTurnedFn load_turned[gradient_formats][dtype_count];
  Packing packing[format_count];  // null for compute types
  ScaleFn scale[dtype_count];
  InverseRootsFn inverse_roots[dtype_count];
  StreamFn stream[dtype_count][max_slots + 1];
  DivideFn divide[dtype_count][most_roots + 1][most_quotients + 1];
  VectorKernels vectors[dtype_count];
};

}  // namespace gradstep
