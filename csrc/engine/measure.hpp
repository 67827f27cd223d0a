// Measures: sums over the elements of tensors that a step needs before it writes. Squares of
// gradients limit them, elements that suit their gradients scale cautious steps. What a sum is of,
// a kernel says; how it is added up is the same for all, and in an order that neither threads nor
// instruction sets change:
//   of a tensor, or of a slice of it in one piece: by blocks of norm_block elements from its start;
//   of slices that alternate element by element: by blocks of unit_rows rows, within them row by
//   row; of tile_rows rows where the rows' own sums, in one piece, are taken in the same reading.
// The blocks' sums are added in order. Sums over tensors are those of the tensors, added in order.
// Of a part of a tensor, the blocks are those of the whole that lie within it.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/param_table.hpp"

namespace gradstep {

constexpr std::size_t unit_rows = 256, tile_rows = 64;

// What sums are over: each of `count` slices of a tensor, in one piece, or alternating element by
// element; or, where it is a batch of matrices one after another, of each of these.
struct Slices {
  std::size_t count;
  bool alternating;
  std::size_t matrices;
};

inline Slices whole_tensor() { return {1, false, 1}; }
inline Slices units(const Tensor& tensor) { return {tensor.units, tensor.alternating, 1}; }

// What to sum over slices of a tensor, and where the sums are added to. Its arrays of this role, or
// more, are read in the compute type.
struct Measure {
  const Tensor* tensor;
  Slices slices;
  Role role;           // of the arrays that are read
  std::uint32_t cost;  // of an element, as in element_cost
  std::size_t count;   // of sums that are taken together; of several slices one
  MeasureFn sum;
  SumColumnsFn sum_columns;  // the same of alternating slices
  const void* coefficients;
  double* sums;
  // Of alternating slices, where the sums of their rows are taken, too.
  SumTileFn sum_tile = nullptr;
  double* row_sums = nullptr;
};

// Squares of a tensor's gradient or parameter.
Measure squares(const Tensor& tensor, const Slices& slices, Role role, double* sums);
// Squares of a gradient of matrices, one after another in memory: of each of their rows there, and
// of each of the `columns` that alternate.
Measure squares_both_ways(const Tensor& tensor, std::size_t columns, std::size_t matrices,
                          double* of_rows, double* of_columns);

// Measures to be taken together, and the room for it.
class Measures {
 public:
  void clear() { all_.clear(); }  // of what a step without memory has left
  void add(const Measure& measure) { all_.push_back(measure); }
  void reserve(std::size_t measures);  // so that none of so many at a time needs memory
  // All of these add to their sums, or give one for every block that lies within a part of a
  // tensor, or take one for every block of the whole; and forget the measures.
  void take(const Crew& crew);
  void take_blocks(const Crew& crew, std::vector<double>& sums);
  void add_blocks(const double* sums);
  std::size_t block_count() const;  // of the whole

 private:
  class Cut;

  std::size_t cut();
  template <class Keep>
  void take(const Crew& crew, Keep keep);
  std::size_t end_of_wave(std::size_t begin) const;
  std::size_t sum_at(std::size_t part) const;
  std::size_t sum_at(std::size_t part, std::size_t measure, const Cut& cut) const;
  template <class Act>
  void of_each(std::size_t begin, std::size_t end, std::size_t wave, Act act);

  std::vector<Measure> all_;
  // The parts of all measures up to each, and the sums that their parts give.
  std::vector<std::size_t> part_ends_, sum_ends_;
  std::vector<double> sums_;  // of the parts of a wave
};

}  // namespace gradstep
