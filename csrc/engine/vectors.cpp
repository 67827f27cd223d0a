#include "engine/vectors.hpp"

#include <algorithm>
#include <cstring>

#include "engine/denormals.hpp"
#include "engine/dispatch.hpp"
#include "engine/partition.hpp"

namespace gradstep {
namespace {

// A run of one tensor's elements, from the start of a block.
struct Run {
  const Segment& segment;
  const VectorKernels& kernels;
  std::size_t tensor, begin, count;
  double* sums;  // of its first block
  std::size_t first_block;

  template <class T>
  T* in(T* vector) const {
    return vector + segment.offset + begin * item_size(segment.dtype);
  }
  char* of(void* part) const { return static_cast<char*>(part) + begin * item_size(segment.dtype); }
  const char* of(const void* part) const {
    return static_cast<const char*>(part) + begin * item_size(segment.dtype);
  }
  std::size_t bytes() const { return count * item_size(segment.dtype); }
};

}  // namespace

Vectors::Vectors(std::vector<Segment> segments) : segments_(std::move(segments)) {
  std::size_t blocks = 0;
  for (const Segment& segment : segments_) {
    block_ends_.push_back(blocks += (segment.size + norm_block - 1) / norm_block);
    elements_ += segment.size;
  }
  sums_.resize(blocks * std::max(measured_sums, difference_sums));
}

// Calls kernel(run) for all elements, each once, on as many threads as they are worth.
template <class Kernel>
void Vectors::each(const Crew& crew, Kernel kernel) {
  const std::size_t blocks = block_ends_.empty() ? 0 : block_ends_.back();
  const KernelTable& table = active_kernels();
  const bool flushing = flush_denormals();
  const Division division = crew.divide(elements_);
  auto job = [&, chunks = division.chunks](int chunk) {
    const DenormalsFlushed flushed(flushing);
    std::size_t block = blocks * chunk / chunks;
    const std::size_t last = blocks * (chunk + 1) / chunks;
    for (std::size_t t = tensor_at(block_ends_, block); block < last; ++t) {
      const Segment& segment = segments_[t];
      const std::size_t start = t ? block_ends_[t - 1] : 0, end = std::min(last, block_ends_[t]);
      if (block >= end) continue;
      const std::size_t from = (block - start) * norm_block;
      const std::size_t to = std::min((end - start) * norm_block, segment.size);
      kernel(Run{segment, table.vectors[segment.dtype], t, from, to - from, sums_.data(), block});
      block = end;
    }
  };
  crew.run(division, job);
}

// The sum over all blocks of the `which`-th of those that each block has.
double Vectors::total(std::size_t which, std::size_t per_block) const {
  const StandardArithmetic standard;
  double all = 0;
  std::size_t block = 0;
  for (const std::size_t end : block_ends_) {
    double tensor = 0;
    for (; block < end; ++block) tensor += sums_[block * per_block + which];
    all += tensor;
  }
  return all;
}

Size Vectors::size_of() const {
  double largest = 0;
  for (std::size_t i = 0; !block_ends_.empty() && i < block_ends_.back(); ++i)
    largest = std::max(largest, sums_[i * measured_sums]);
  return {largest, total(1, measured_sums), total(2, measured_sums)};
}

Size Vectors::read(const Crew& crew, const std::vector<const void*>& parts, double scale,
                   char* to) {
  each(crew, [&](const Run& run) {
    double* sums = run.sums + run.first_block * measured_sums;
    if (const void* part = parts[run.tensor]) {
      run.kernels.measured(run.of(part), scale, run.in(to), run.count, sums);
    } else {
      std::memset(run.in(to), 0, run.bytes());
      std::fill_n(sums, (run.count + norm_block - 1) / norm_block * measured_sums, 0.0);
    }
  });
  return size_of();
}

Size Vectors::measure(const Crew& crew, char* x) {
  each(crew, [&](const Run& run) {
    run.kernels.measured(run.in(x), 1.0, run.in(x), run.count,
                         run.sums + run.first_block * measured_sums);
  });
  return size_of();
}

double Vectors::dot(const Crew& crew, const char* x, const char* y) {
  each(crew, [&](const Run& run) {
    run.kernels.dot(run.in(x), run.in(y), run.count, run.sums + run.first_block);
  });
  return total(0, 1);
}

double Vectors::scaled(const Crew& crew, const char* x, double scale, char* to, const char* with) {
  each(crew, [&](const Run& run) {
    run.kernels.scaled(run.in(x), scale, run.in(to), run.in(with), run.count,
                       run.sums + run.first_block);
  });
  return total(0, 1);
}

double Vectors::add(const Crew& crew, const char* x, double scale, char* to, const char* with) {
  each(crew, [&](const Run& run) {
    run.kernels.added(run.in(x), scale, run.in(to), run.in(with), run.count,
                      run.sums + run.first_block);
  });
  return total(0, 1);
}

void Vectors::save(const Crew& crew, const std::vector<void*>& params, char* to) {
  each(crew,
       [&](const Run& run) { std::memcpy(run.in(to), run.of(params[run.tensor]), run.bytes()); });
}

void Vectors::restore(const Crew& crew, const std::vector<void*>& params, const char* from) {
  each(crew,
       [&](const Run& run) { std::memcpy(run.of(params[run.tensor]), run.in(from), run.bytes()); });
}

void Vectors::move(const Crew& crew, const std::vector<void*>& params, const char* x, double scale,
                   const char* d) {
  each(crew, [&](const Run& run) {
    run.kernels.moved(run.in(x), scale, run.in(d), run.of(params[run.tensor]), run.count);
  });
}

Vectors::Differences Vectors::differences(const Crew& crew, const char* now, const char* before,
                                          double scale, const char* d, char* s, char* y) {
  each(crew, [&](const Run& run) {
    run.kernels.differences(run.in(now), run.in(before), scale, run.in(d), run.in(s), run.in(y),
                            run.count, run.sums + run.first_block * difference_sums);
  });
  return {total(0, difference_sums), total(1, difference_sums)};
}

// Nocedal & Wright 2006, Algorithm 7.4. Every pass but the first also takes the product that the
// next one needs, so that a vector is read once for both.
Vectors::Direction Vectors::direction(const Crew& crew, const char* g,
                                      const std::vector<Pair>& pairs, double scale, char* d) {
  const std::size_t count = pairs.size();
  std::vector<double> alpha(count);
  double product = scaled(crew, g, -1.0, d, count ? pairs[count - 1].s : g);
  for (std::size_t i = count; i-- > 0;) {
    alpha[i] = product * pairs[i].rho;
    product = add(crew, pairs[i].y, -alpha[i], d, i ? pairs[i - 1].s : g);
  }
  product = scaled(crew, d, scale, d, count ? pairs[0].y : g);
  for (std::size_t i = 0; i < count; ++i) {
    const double beta = product * pairs[i].rho;
    product = add(crew, pairs[i].s, alpha[i] - beta, d, i + 1 < count ? pairs[i + 1].y : g);
  }
  return {product, measure(crew, d).largest};
}

}  // namespace gradstep
