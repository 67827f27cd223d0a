// Vectors over all tensors of a model: for methods that need sums over them, and whole vectors of
// their own, as L-BFGS does.
//
// A vector is one piece of memory that holds an array like each tensor, at the same offsets in all
// vectors. Sums go by blocks of norm_block elements from each tensor's start, whose sums are added
// in order, and then those of the tensors: neither threads nor instruction sets change a bit.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/kernel_table.hpp"
#include "engine/parallel.hpp"

namespace gradstep {

// One tensor's part of all vectors.
struct Segment {
  DType dtype;
  std::size_t size;
  std::size_t offset;  // bytes
};

// Of a vector: the largest absolute value but for NaN, the sum of absolute values, of squares.
struct Size {
  double largest, absolute, squares;
};

// One of the pairs that L-BFGS keeps: a step, the gradient's change along it, and 1/(y·s).
struct Pair {
  char *s, *y;
  double rho;
};

class Vectors {
 public:
  explicit Vectors(std::vector<Segment> segments);

  std::size_t elements() const { return elements_; }

  // `to` = scale·parts, where no part is null; zero where it is.
  Size read(const Crew& crew, const std::vector<const void*>& parts, double scale, char* to);
  Size measure(const Crew& crew, char* x);
  double dot(const Crew& crew, const char* x, const char* y);
  // to += scale·x, and what comes of it with `with`.
  double add(const Crew& crew, const char* x, double scale, char* to, const char* with);

  void save(const Crew& crew, const std::vector<void*>& params, char* to);
  void restore(const Crew& crew, const std::vector<void*>& params, const char* from);
  // params = x + scale·d
  void move(const Crew& crew, const std::vector<void*>& params, const char* x, double scale,
            const char* d);

  struct Differences {
    double ys, yy;
  };
  // y = now − before, s = scale·d.
  Differences differences(const Crew& crew, const char* now, const char* before, double scale,
                          const char* d, char* s, char* y);

  struct Direction {
    double slope, largest;  // with the gradient; absolute
  };
  // d = −H·g by the two-loop recursion, of these pairs from the oldest, and `scale` as the first
  // inverse Hessian.
  Direction direction(const Crew& crew, const char* g, const std::vector<Pair>& pairs, double scale,
                      char* d);

 private:
  template <class Kernel>
  void each(const Crew& crew, Kernel kernel);
  double total(std::size_t which, std::size_t per_block) const;
  Size size_of() const;
  double scaled(const Crew& crew, const char* x, double scale, char* to, const char* with);

  const std::vector<Segment> segments_;
  std::vector<std::size_t> block_ends_;  // blocks of all tensors up to each
  std::size_t elements_ = 0;
  std::vector<double> sums_;  // of blocks
};

}  // namespace gradstep
