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
  double* sums;  // of its blocks
  std::size_t per_block;

  std::size_t item() const { return item_size(segment.dtype); }
  std::size_t bytes() const { return count * item(); }
  std::size_t offset() const { return segment.offset + begin * item(); }
  template <class T>
  T* in(T* vector) const {
    return vector + offset();
  }
  char* of(void* part) const { return static_cast<char*>(part) + begin * item(); }
  const char* of(const void* part) const { return static_cast<const char*>(part) + begin * item(); }
  Several in(const std::vector<const char*>& vectors) const {
    return {vectors.data(), vectors.size(), offset()};
  }

  // Calls act(run) for each block.
  template <class Act>
  void by_block(Act act) const {
    for (std::size_t i = 0; i < count; i += norm_block)
      act(Run{segment, kernels, tensor, begin + i, std::min(norm_block, count - i),
              sums + i / norm_block * per_block, per_block});
  }
};

// The first loop of the recursion, with q = −g − Σ a·y: from the newest pair, a = ρ·(s·q).
std::vector<double> newest_first(const std::vector<Pair>& pairs, const std::vector<double>& along) {
  const StandardArithmetic standard;
  std::vector<double> alpha(pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) alpha[i] = -along[i];
  for (std::size_t j = pairs.size(); j-- > 0;) {
    alpha[j] *= pairs[j].rho;
    for (std::size_t i = 0; i < j; ++i) alpha[i] -= alpha[j] * pairs[j].products[i];
  }
  return alpha;
}

// The second one, from the oldest pair: b = ρ·(y·d), and d grows by (a − b)·s. Takes what y·d is
// before it, and returns a − b.
std::vector<double> oldest_first(const std::vector<Pair>& pairs, const std::vector<double>& alpha,
                                 const std::vector<double>& along) {
  const StandardArithmetic standard;
  std::vector<double> gains(pairs.size());
  for (std::size_t j = 0; j < pairs.size(); ++j) {
    double product = along[j];
    for (std::size_t i = 0; i < j; ++i) product += gains[i] * pairs[j].products[i];
    gains[j] = alpha[j] - product * pairs[j].rho;
  }
  return gains;
}

}  // namespace

Vectors::Vectors(std::vector<Segment> segments) : segments_(std::move(segments)) {
  std::size_t blocks = 0;
  for (const Segment& segment : segments_) {
    block_ends_.push_back(blocks += (segment.size + norm_block - 1) / norm_block);
    elements_ += segment.size;
  }
}

// Calls kernel(run) for all elements, each once, on as many threads as they are worth. Each block
// has so many sums.
template <class Kernel>
void Vectors::each(const Crew& crew, std::size_t per_block, Kernel kernel) {
  const std::size_t blocks = block_ends_.empty() ? 0 : block_ends_.back();
  if (sums_.size() < blocks * per_block) sums_.resize(blocks * per_block);
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
      kernel(Run{segment, table.vectors[segment.dtype], t, from, to - from,
                 sums_.data() + block * per_block, per_block});
      block = end;
    }
  };
  crew.run(division, job);
}

// The sums over all blocks.
std::vector<double> Vectors::totals(std::size_t per_block) const {
  const StandardArithmetic standard;
  std::vector<double> all(per_block), tensor(per_block);
  std::size_t block = 0;
  for (const std::size_t end : block_ends_) {
    std::fill(tensor.begin(), tensor.end(), 0.0);
    for (; block < end; ++block)
      for (std::size_t k = 0; k < per_block; ++k) tensor[k] += sums_[block * per_block + k];
    for (std::size_t k = 0; k < per_block; ++k) all[k] += tensor[k];
  }
  return all;
}

// Of what has been measured, the first of a block's sums.
double Vectors::largest(std::size_t per_block) const {
  double most = 0;
  for (std::size_t i = 0; !block_ends_.empty() && i < block_ends_.back(); ++i)
    most = std::max(most, sums_[i * per_block]);
  return most;
}

Size Vectors::size_of() const {
  const std::vector<double> sums = totals(measured_sums);
  return {largest(measured_sums), sums[1], sums[2]};
}

Size Vectors::read(const Crew& crew, const std::vector<const void*>& parts, double scale,
                   char* to) {
  each(crew, measured_sums, [&](const Run& run) {
    if (const void* part = parts[run.tensor]) {
      run.kernels.measured(run.of(part), scale, run.in(to), run.count, run.sums);
    } else {
      std::memset(run.in(to), 0, run.bytes());
      std::fill_n(run.sums, (run.count + norm_block - 1) / norm_block * measured_sums, 0.0);
    }
  });
  return size_of();
}

Size Vectors::measure(const Crew& crew, char* x) {
  each(crew, measured_sums, [&](const Run& run) {
    run.kernels.measured(run.in(x), 1.0, run.in(x), run.count, run.sums);
  });
  return size_of();
}

double Vectors::dot(const Crew& crew, const char* x, const char* y) {
  const std::vector<const char*> only{x};
  each(crew, 1, [&](const Run& run) {
    run.by_block([&](const Run& block) {
      block.kernels.products(block.in(only), block.in(y), nullptr, block.count, block.sums);
    });
  });
  return totals(1)[0];
}

void Vectors::save(const Crew& crew, const std::vector<void*>& params, char* to) {
  each(crew, 0,
       [&](const Run& run) { std::memcpy(run.in(to), run.of(params[run.tensor]), run.bytes()); });
}

void Vectors::restore(const Crew& crew, const std::vector<void*>& params, const char* from) {
  each(crew, 0,
       [&](const Run& run) { std::memcpy(run.of(params[run.tensor]), run.in(from), run.bytes()); });
}

void Vectors::move(const Crew& crew, const std::vector<void*>& params, const char* x, double scale,
                   const char* d) {
  const std::vector<const char*> along{d};
  each(crew, 0, [&](const Run& run) {
    char* param = run.of(params[run.tensor]);
    run.kernels.combined(x ? run.in(x) : param, 1.0, run.in(along), &scale, 1.0, param, run.count);
  });
}

Vectors::Differences Vectors::differences(const Crew& crew, const char* now, const char* before,
                                          double scale, const char* d, char* s, char* y,
                                          std::vector<const char*> older) {
  const std::vector<const char*> subtracted{before};
  const double minus = -1.0;
  std::vector<const char*> vectors = std::move(older);
  vectors.push_back(s);
  vectors.push_back(y);
  each(crew, 2 * vectors.size(), [&](const Run& run) {
    run.by_block([&](const Run& block) {
      const char* g = block.in(now);
      block.kernels.combined(g, 1.0, block.in(subtracted), &minus, 1.0, block.in(y), block.count);
      block.kernels.combined(block.in(d), scale, {}, nullptr, 1.0, block.in(s), block.count);
      block.kernels.products(block.in(vectors), block.in(y), g, block.count, block.sums);
    });
  });
  const std::vector<double> sums = totals(2 * vectors.size());  // with y and with g, in turn
  const std::size_t of_s = sums.size() - 4, of_y = sums.size() - 2;
  Differences found{sums[of_s], sums[of_y], {}, {}};
  for (std::size_t k = 0; k < of_y; k += 2) {
    if (k < of_s) found.with_y.push_back(sums[k]);
    found.with_g.push_back(sums[k + 1]);
  }
  return found;
}

// d = scale·(−g − Σ a·y), added up from the newest pair; and its products with all y.
std::vector<double> Vectors::along_changes(const Crew& crew, const char* g,
                                           const std::vector<Pair>& pairs,
                                           const std::vector<double>& alpha, double scale,
                                           char* d) {
  std::vector<const char*> oldest, newest;
  std::vector<double> factors;
  for (const Pair& pair : pairs) oldest.push_back(pair.y);
  newest.assign(oldest.rbegin(), oldest.rend());
  for (std::size_t k = pairs.size(); k-- > 0;) factors.push_back(-alpha[k]);
  each(crew, pairs.size(), [&](const Run& run) {
    run.by_block([&](const Run& block) {
      block.kernels.combined(block.in(g), -1.0, block.in(newest), factors.data(), scale,
                             block.in(d), block.count);
      block.kernels.products(block.in(oldest), block.in(d), nullptr, block.count, block.sums);
    });
  });
  return totals(pairs.size());
}

// Nocedal & Wright 2006, Algorithm 7.4. What its loops need of one pair after another are products,
// which follow from those of the pairs among each other: so each loop is one pass over vectors.
Vectors::Direction Vectors::direction(const Crew& crew, const char* g,
                                      const std::vector<Pair>& pairs,
                                      const std::vector<double>& along, double scale, char* d) {
  const std::vector<double> alpha = newest_first(pairs, along);
  const std::vector<double> gains =
      oldest_first(pairs, alpha, along_changes(crew, g, pairs, alpha, scale, d));
  std::vector<const char*> steps;
  for (const Pair& pair : pairs) steps.push_back(pair.s);
  each(crew, slope_sums, [&](const Run& run) {
    run.by_block([&](const Run& block) {
      char* part = block.in(d);
      block.kernels.combined(part, 1.0, block.in(steps), gains.data(), 1.0, part, block.count);
      block.kernels.slope(part, block.in(g), block.count, block.sums);
    });
  });
  return {totals(slope_sums)[1], largest(slope_sums)};
}

}  // namespace gradstep
