#include "engine/measure.hpp"

#include <algorithm>

#include "engine/denormals.hpp"
#include "engine/dispatch.hpp"
#include "engine/factored.hpp"
#include "engine/partition.hpp"
#include "engine/stage.hpp"

namespace gradstep {
namespace {

// Sums that are kept at a time: parts are measured in waves of so many, and these then added up in
// order. It needs no room that grows with the parameters: docs/decisions/0007-norm-in-waves.md.
constexpr std::size_t sums_per_wave = 65536;
// Columns of a part of alternating units; where rows are summed, too.
constexpr std::size_t most_columns = 512, most_of_tile = 4 * norm_block;

std::size_t blocks(std::size_t size, std::size_t block) { return (size + block - 1) / block; }

}  // namespace

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

Measure squares(const Tensor& tensor, const Slices& slices, Role role, double* sums) {
  const KernelTable& kernels = active_kernels();
  const auto& of_role = role == grad_role ? kernels.grad_squares : kernels.param_squares;
  return {&tensor, slices, role, 1, 1, of_role[tensor.dtype], kernels.sum_columns[tensor.dtype],
          nullptr, sums};
}

Measure squares_both_ways(const Tensor& tensor, std::size_t columns, std::size_t matrices,
                          double* of_rows, double* of_columns) {
  Measure measure = squares(tensor, {columns, true, matrices}, grad_role, of_columns);
  measure.sum_tile = active_kernels().sum_tile[tensor.dtype];
  measure.row_sums = of_rows;
  return measure;
}

void Measures::reserve(std::size_t measures) {
  all_.reserve(measures);
  part_ends_.reserve(measures);
  sum_ends_.reserve(measures);
  sums_.reserve(sums_per_wave);
}

// Returns the work of all.
std::size_t Measures::cut() {
  part_ends_.clear();
  sum_ends_.clear();
  std::size_t parts = 0, sums = 0, work = 0;
  for (const Measure& measure : all_) {
    const Cut cut(measure);
    part_ends_.push_back(parts += cut.parts());
    sum_ends_.push_back(sums += cut.parts() * cut.width());
    work += measure.tensor->span.size * measure.cost;
  }
  return work;
}

void Measures::take(const Crew& crew) {
  take(crew, [](const Cut& cut, std::size_t from, std::size_t to, double* sums) {
    cut.add(from, to, sums);
  });
}

void Measures::take_blocks(const Crew& crew, std::vector<double>& all) {
  all.clear();
  take(crew, [&all](const Cut& cut, std::size_t from, std::size_t to, double* sums) {
    cut.append(from, to, sums, all);
  });
}

void Measures::add_blocks(const double* sums) {
  for (const Measure& measure : all_) sums = Cut(measure).add_whole(sums);
  all_.clear();
}

std::size_t Measures::block_count() const {
  std::size_t count = 0;
  for (const Measure& measure : all_) count += Cut(measure).whole_sums();
  return count;
}

template <class Keep>
void Measures::take(const Crew& crew, Keep keep) {
  if (all_.empty()) return;
  const StandardArithmetic standard;
  const std::size_t work = cut(), parts = part_ends_.back();
  const bool flushing = flush_denormals();
  sums_.resize(std::max(sums_.size(), std::min(sum_ends_.back(), sums_per_wave)));
  for (std::size_t begin = 0, end; begin < parts; begin = end) {
    end = end_of_wave(begin);
    const Division division = crew.divide(work * (end - begin) / parts);
    auto job = [&, chunks = division.chunks](int chunk) {
      const DenormalsFlushed flushed(flushing);
      const std::size_t first = begin + (end - begin) * chunk / chunks;
      const std::size_t last = begin + (end - begin) * (chunk + 1) / chunks;
      of_each(first, last, begin,
              [](const Cut& cut, std::size_t from, std::size_t to, double* sums) {
                cut.measure(from, to, sums);
              });
    };
    crew.run(division, job);
    of_each(begin, end, begin, keep);
  }
  all_.clear();
}

// Calls act(cut, from, to, sums) for the parts [begin, end) of all measures: of each its own parts,
// and the sums of these in a wave that begins at part `wave`.
template <class Act>
void Measures::of_each(std::size_t begin, std::size_t end, std::size_t wave, Act act) {
  const std::size_t first_sum = sum_at(wave);
  for (std::size_t m = tensor_at(part_ends_, begin); begin < end; ++m) {
    const Cut cut(all_[m]);
    const std::size_t first = part_ends_[m] - cut.parts(), last = std::min(end, part_ends_[m]);
    act(cut, begin - first, last - first, &sums_[sum_at(begin, m, cut) - first_sum]);
    begin = last;
  }
}

std::size_t Measures::sum_at(std::size_t part, std::size_t m, const Cut& cut) const {
  return sum_ends_[m] - (part_ends_[m] - part) * cut.width();
}

std::size_t Measures::sum_at(std::size_t part) const {
  const std::size_t m = tensor_at(part_ends_, part);
  return sum_at(part, m, Cut(all_[m]));
}

// The last part whose sums, with those of all from `begin` on, there is room for, plus one.
std::size_t Measures::end_of_wave(std::size_t begin) const {
  const std::size_t sum = sum_at(begin) + sums_per_wave;
  if (sum >= sum_ends_.back()) return part_ends_.back();
  const std::size_t m = tensor_at(sum_ends_, sum);
  const std::size_t width = Cut(all_[m]).width();
  return part_ends_[m] - (sum_ends_[m] - sum + width - 1) / width;
}

}  // namespace gradstep
