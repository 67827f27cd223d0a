#include "engine/tree.hpp"

#include <algorithm>
#include <type_traits>

#include "engine/independent.hpp"
#include "engine/packing.hpp"
#include "engine/parallel.hpp"

namespace gradstep {
namespace {

constexpr std::size_t block_size = 1024;  // elements that are summed before the next are read

std::size_t middle(std::size_t lo, std::size_t hi) {
  std::size_t half = 1;
  while (half * 2 < hi - lo) half *= 2;
  return lo + half;
}

// What to do with a stack of numbers, in order: push a branch, by its number, or add up the upper
// two or four. Four at once are read side by side, which memory is faster at than one after
// another.
constexpr std::size_t add = static_cast<std::size_t>(-1), add_four = add - 1;

bool is_branch(std::size_t step) { return step < add_four; }

// Appends what sums leaves [lo, hi), which begin with branch number `at`; moves `at` behind them.
bool append(const std::vector<Branch>& branches, std::size_t last, std::size_t lo, std::size_t hi,
            std::size_t& at, std::vector<std::size_t>& steps) {
  if (at == branches.size() || branches[at].first != lo) return false;
  const std::size_t end = at + 1 < branches.size() ? branches[at + 1].first : last;
  if (end == hi) {
    steps.push_back(at++);
    return true;
  }
  if (end > hi || hi - lo < 2) return false;
  const std::size_t mid = middle(lo, hi);
  if (!append(branches, last, lo, mid, at, steps) || !append(branches, last, mid, hi, at, steps))
    return false;
  steps.push_back(add);
  const std::size_t n = steps.size();
  if (n >= 7 && steps[n - 2] == add && is_branch(steps[n - 3]) && is_branch(steps[n - 4]) &&
      steps[n - 5] == add && is_branch(steps[n - 6]) && is_branch(steps[n - 7])) {
    steps.erase(steps.end() - 5);
    steps.resize(n - 3);
    steps.push_back(add_four);
  }
  return true;
}

std::vector<std::size_t> steps_of(const std::vector<Branch>& branches, std::size_t last) {
  std::vector<std::size_t> steps;
  std::size_t at = 0;
  const bool whole = !branches.empty() &&
                     append(branches, last, branches[0].first, last, at, steps) &&
                     at == branches.size();
  return whole ? steps : std::vector<std::size_t>();
}

// Each of `count` values, or bfloat16 numbers, through `act`.
template <class From, class To, class Act>
void each(const From* from, std::size_t count, To* to, Act act) {
  GRADSTEP_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) to[i] = act(from[i]);
}

template <class T>
void sum(const T* a, const T* b, std::size_t count, T* to) {
  GRADSTEP_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) to[i] = a[i] + b[i];
}

float widened(std::uint16_t bits) { return static_cast<float>(Bfloat16{bits}); }
std::uint16_t narrowed(float value) { return nearest(Bfloat16{}, value); }

template <bool narrow, class T>
T kept(T value) {
  if constexpr (narrow && std::is_same_v<T, float>) return widened(narrowed(value));
  return value;
}

template <bool narrow, class T>
void sum_four(const T* const* of, std::size_t count, T* to) {
  const T *a = of[0], *b = of[1], *c = of[2], *d = of[3];
  GRADSTEP_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i)
    to[i] = kept<narrow>(a[i] + b[i]) + kept<narrow>(c[i] + d[i]);
}

// Of float32; nothing else is narrowed.
template <class T>
void narrow_in_place(T* values, std::size_t count) {
  if constexpr (std::is_same_v<T, float>)
    each(values, count, values, [](float value) { return widened(narrowed(value)); });
}

// The work of one thread, block by block.
template <class T>
class TreeSum {
 public:
  TreeSum(const std::vector<Branch>& branches, const std::vector<std::size_t>& steps, bool narrow)
      : branches_(branches), steps_(steps), narrow_(narrow) {
    std::size_t depth = 0, most = 0;
    for (const std::size_t step : steps)
      most = std::max(most, depth = is_branch(step) ? depth + 1 : depth - fewer(step));
    room_.resize(most * block_size);
    stack_.resize(most);
  }

  void run(std::size_t begin, std::size_t end, void* to, Format format) {
    for (; begin < end; begin += block_size) {
      const std::size_t count = std::min(block_size, end - begin);
      if (format == Format::bfloat16) {
        T* const values = room(0);
        run_block(begin, count, values);
        each(values, count, static_cast<std::uint16_t*>(to) + begin,
             [](T value) { return narrowed(static_cast<float>(value)); });
      } else {
        run_block(begin, count, static_cast<T*>(to) + begin);
      }
    }
  }

 private:
  static std::size_t fewer(std::size_t step) { return step == add ? 1 : 3; }

  T* room(std::size_t depth) { return room_.data() + depth * block_size; }

  void run_block(std::size_t begin, std::size_t count, T* to) {
    depth_ = 0;
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      const bool root = s + 1 == steps_.size();
      if (is_branch(steps_[s])) {
        stack_[depth_] = leaf(branches_[steps_[s]], begin, count);
        if (root) std::copy_n(stack_[0], count, to);
        ++depth_;
        continue;
      }
      depth_ -= fewer(steps_[s]);
      T* const sum_to = root ? to : room(depth_ - 1);
      const T* const* const of = &stack_[depth_ - 1];
      if (steps_[s] == add)
        sum(of[0], of[1], count, sum_to);
      else
        (narrow_ ? sum_four<true, T> : sum_four<false, T>)(of, count, sum_to);
      if (narrow_ && !root) narrow_in_place(sum_to, count);
      stack_[depth_ - 1] = sum_to;
    }
  }

  // Elements of a branch in the compute type: where they lie, or in the room of its place.
  const T* leaf(const Branch& branch, std::size_t begin, std::size_t count) {
    T* const values = room(depth_);
    if (branch.format == Format::bfloat16) {
      each(static_cast<const std::uint16_t*>(branch.data) + begin, count, values, widened);
      return values;
    }
    const T* const from = static_cast<const T*>(branch.data) + begin;
    if (!narrow_) return from;
    std::copy_n(from, count, values);
    narrow_in_place(values, count);
    return values;
  }

  const std::vector<Branch>& branches_;
  const std::vector<std::size_t>& steps_;
  const bool narrow_;
  std::vector<T> room_;
  std::vector<const T*> stack_;
  std::size_t depth_ = 0;
};

// Work is counted in elements of plain SGD in float32, which moves three of these.
template <class T>
void sum_branches(const std::vector<Branch>& branches, std::size_t last, std::size_t size,
                  bool narrow, void* to, Format format) {
  const std::vector<std::size_t> steps = steps_of(branches, last);
  const std::size_t work = size / 3 * (branches.size() + 1) * sizeof(T) / sizeof(float);
  const Crew crew(PoolKind::parking, work);
  const Division division = crew.divide(work);
  const std::size_t chunks = static_cast<std::size_t>(division.chunks);
  std::vector<TreeSum<T>> sums(chunks, TreeSum<T>(branches, steps, narrow));
  const auto border = [&](std::size_t chunk) {
    return chunk == chunks ? size : size / chunks * chunk / block_size * block_size;
  };
  auto job = [&](int chunk) { sums[chunk].run(border(chunk), border(chunk + 1), to, format); };
  crew.run(division, job);
}

}  // namespace

bool are_branches(const std::vector<Branch>& branches, std::size_t last) {
  return !steps_of(branches, last).empty();
}

void sum_tree(const std::vector<Branch>& branches, std::size_t last, std::size_t size, bool narrow,
              void* to, Format format) {
  const bool wide = format == Format::float64;
  (wide ? sum_branches<double> : sum_branches<float>)(branches, last, size, narrow, to, format);
}

}  // namespace gradstep
