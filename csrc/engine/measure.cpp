#include "engine/measure.hpp"

#include <algorithm>

#include "engine/cut.hpp"
#include "engine/denormals.hpp"
#include "engine/dispatch.hpp"
#include "engine/partition.hpp"

namespace gradstep {
namespace {

// Sums that are kept at a time: parts are measured in waves of so many, and these then added up in
// order. It needs no room that grows with the parameters: docs/decisions/0007-norm-in-waves.md.
constexpr std::size_t sums_per_wave = 65536;

}  // namespace

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
