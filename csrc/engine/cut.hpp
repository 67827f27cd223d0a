// How a measure is cut into parts, and what parts do to its sums.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "engine/factored.hpp"
#include "engine/measure.hpp"
#include "engine/stage.hpp"

namespace gradstep {

// Columns of a part of alternating units; where rows are summed, too.
constexpr std::size_t most_columns = 512, most_of_tile = 4 * norm_block;

inline std::size_t blocks(std::size_t size, std::size_t block) {
  return (size + block - 1) / block;
}

// How a measure is cut into parts, which each give a sum or, of alternating units, a sum for each
// of so many columns, behind which those of blocks of rows may follow.
class Measures::Cut {
 public:
  explicit Cut(const Measure& measure)
      : measure_(measure),
        tensor_(*measure.tensor),
        tiled_(measure.slices.alternating),
        both_(measure.row_sums),
        rows_(both_ ? tile_rows : unit_rows),
        columns_(both_ ? most_of_tile : most_columns),
        runs_(tiled_ ? measure.slices.count : measure.slices.count * measure.slices.matrices),
        size_(whole_size(tensor_) / (tiled_ ? runs_ * measure.slices.matrices : runs_)),
        per_run_(tiled_ ? blocks(runs_, columns_) : blocks(size_, norm_block)),
        first_(tensor_.before ? parts_begun_before(tensor_.before) : 0),
        last_(tensor_.after ? std::max(first_, parts_ended_at(whole_size(tensor_) - tensor_.after))
                            : whole_parts()) {}

  std::size_t parts() const { return last_ - first_; }
  std::size_t width() const {
    if (!tiled_) return measure_.count;
    return columns() + (both_ ? std::min(size_, rows_) * blocks(columns(), norm_block) : 0);
  }

  // Measures parts [begin, end).
  void measure(std::size_t begin, std::size_t end, double* sums) const {
    begin += first_;
    end += first_;
    if (tiled_)
      for (; begin < end; ++begin, sums += width()) measure_tile(begin, sums);
    else
      while (begin < end) {
        const std::size_t last = std::min(end, (begin / per_run_ + 1) * per_run_);
        measure_blocks(begin / per_run_, begin % per_run_, last - begin, sums);
        sums += (last - begin) * width();
        begin = last;
      }
  }

  // Adds what parts [begin, end) have given.
  void add(std::size_t begin, std::size_t end, const double* sums) const {
    for (; begin < end && tiled_; ++begin, sums += width()) add_tile(begin, sums);
    while (begin < end) {
      const std::size_t run = begin / per_run_, last = std::min(end, (run + 1) * per_run_);
      double* const to = measure_.sums + run * width();
      for (; begin < last; ++begin)
        for (std::size_t k = 0; k < width(); ++k) to[k] += *sums++;
    }
  }

  // Appends what parts [begin, end) have given.
  void append(std::size_t begin, std::size_t end, const double* sums,
              std::vector<double>& to) const {
    for (begin += first_, end += first_; begin < end; ++begin, sums += width())
      to.insert(to.end(), sums, sums + width_of(begin));
  }

  // Adds what all parts of the whole give, one after another.
  const double* add_whole(const double* sums) const {
    std::vector<double> padded(width());
    for (std::size_t part = 0; part < whole_parts(); ++part) {
      std::copy_n(sums, width_of(part), padded.begin());
      add(part, part + 1, padded.data());
      sums += width_of(part);
    }
    return sums;
  }

  std::size_t whole_sums() const {
    return tiled_ ? blocks(size_, rows_) * runs_ * measure_.slices.matrices
                  : whole_parts() * width();
  }

 private:
  std::size_t tiles() const { return per_run_ * blocks(size_, rows_); }  // of a matrix
  std::size_t columns() const { return std::min(runs_, columns_); }      // of a tile
  std::size_t whole_parts() const {
    return tiled_ ? tiles() * measure_.slices.matrices : per_run_ * runs_;
  }
  // How many sums a part gives: of columns, the last ones may be fewer.
  std::size_t width_of(std::size_t part) const {
    return tiled_ ? std::min(columns_, runs_ - part % per_run_ * columns_) : width();
  }

  // How many parts begin before this element of the whole, and how many end by it.
  std::size_t parts_begun_before(std::size_t element) const {
    if (tiled_) return blocks(element, rows_ * runs_) * per_run_;
    return element / size_ * per_run_ + blocks(element % size_, norm_block);
  }
  std::size_t parts_ended_at(std::size_t element) const {
    if (tiled_) return element / (rows_ * runs_) * per_run_;
    return element / size_ * per_run_ + element % size_ / norm_block;
  }

  void add_tile(std::size_t part, const double* sums) const {
    const std::size_t matrix = part / tiles(), tile = part % tiles();
    const std::size_t column = tile % per_run_ * columns_, row = tile / per_run_ * rows_;
    const std::size_t count = std::min(columns_, runs_ - column);
    double* const to = measure_.sums + matrix * runs_ + column;
    for (std::size_t u = 0; u < count; ++u) to[u] += sums[u];
    if (!both_) return;
    sums += columns();
    double* const of_row = measure_.row_sums + matrix * size_;
    for (std::size_t r = row; r < std::min(row + rows_, size_); ++r)
      for (std::size_t b = 0; b < blocks(count, norm_block); ++b) of_row[r] += *sums++;
  }

  void measure_blocks(std::size_t run, std::size_t first, std::size_t count, double* sums) const {
    const std::size_t start = run * size_ - tensor_.before;
    const std::size_t begin = start + first * norm_block;
    const std::size_t end = std::min(start + size_, begin + count * norm_block);
    complete(tensor_, measure_.role, Access::read, begin, end,
             [&](const Span& span, std::size_t from, std::size_t to) {
               for (; from < to; from += norm_block, sums += width())
                 measure_.sum(measure_.coefficients, span, from, std::min(from + norm_block, to),
                              sums);
             });
  }

  void measure_tile(std::size_t part, double* sums) const {
    const std::size_t tile = part % tiles();
    const std::size_t row = tile / per_run_ * rows_, column = tile % per_run_ * columns_;
    const std::size_t rows = std::min(rows_, size_ - row);
    const std::size_t columns = std::min(columns_, runs_ - column);
    std::fill(sums, sums + columns, 0.0);
    const std::size_t begin =
        part / tiles() * size_ * runs_ + row * runs_ + column - tensor_.before;
    if (tensor_.staged & measure_.role)
      tensor_.dtype == float32 ? add_staged<float>(begin, rows, columns, sums)
                               : add_staged<double>(begin, rows, columns, sums);
    else
      add_rows(values() + begin * item_size(tensor_.dtype), rows, runs_, columns, sums,
               sums + this->columns());
  }

  void add_rows(const void* values, std::size_t rows, std::size_t stride, std::size_t columns,
                double* sums, double* of_blocks) const {
    if (both_)
      measure_.sum_tile(values, rows, stride, columns, sums, of_blocks);
    else
      measure_.sum_columns(values, rows, stride, columns, sums);
  }

  template <class T>
  void add_staged(std::size_t begin, std::size_t rows, std::size_t columns, double* sums) const {
    alignas(64) T room[8 * most_columns];
    const std::size_t together = 8 * most_columns / columns;
    for (std::size_t row = 0; row < rows; row += together) {
      const std::size_t count = std::min(together, rows - row);
      load_rows(tensor_, measure_.role, begin + row * runs_, runs_, count, columns, room);
      add_rows(room, count, columns, columns, sums,
               sums + this->columns() + row * blocks(columns, norm_block));
    }
  }

  const char* values() const {
    const Span& span = tensor_.span;
    return static_cast<const char*>(measure_.role == grad_role ? span.grad.data : span.param.data);
  }

  const Measure& measure_;
  const Tensor& tensor_;
  const bool tiled_, both_;
  const std::size_t rows_, columns_;  // of tiles, at most
  const std::size_t runs_;            // slices; of tiles the columns
  const std::size_t size_;            // of a run; of tiles the rows
  const std::size_t per_run_;         // blocks; of tiles those beside each other
  const std::size_t first_, last_;    // of the parts of the whole, those that are here
};

}  // namespace gradstep
