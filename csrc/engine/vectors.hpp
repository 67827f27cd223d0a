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

// One of the pairs that L-BFGS keeps: a step, the gradient's change along it, 1/(y·s), and the
// products of y with the steps of the pairs before it, from the oldest.
struct Pair {
  const char *s, *y;
  double rho;
  const double* products;
};

class Vectors {
 public:
  explicit Vectors(std::vector<Segment> segments);

  std::size_t elements() const { return elements_; }

  // `to` = scale·parts, where no part is null; zero where it is.
  Size read(const Crew& crew, const std::vector<const void*>& parts, double scale, char* to);
  Size measure(const Crew& crew, char* x);
  double dot(const Crew& crew, const char* x, const char* y);

  void save(const Crew& crew, const std::vector<void*>& params, char* to);
  void restore(const Crew& crew, const std::vector<void*>& params, const char* from);
  // params = x + scale·d; x may be null: params += scale·d.
  void move(const Crew& crew, const std::vector<void*>& params, const char* x, double scale,
            const char* d);

  struct Differences {
    double ys, yy;
    std::vector<double> with_y, with_g;
  };
  // y = now − before, s = scale·d; and the products of the older steps with y and with now, the
  // latter of s, too.
  Differences differences(const Crew& crew, const char* now, const char* before, double scale,
                          const char* d, char* s, char* y, std::vector<const char*> older);

  struct Direction {
    double slope, largest;  // with the gradient; absolute
  };
  // d = −H·g by the two-loop recursion, of these pairs from the oldest, the products of their steps
  // with g, and `scale` as the first inverse Hessian.
  Direction direction(const Crew& crew, const char* g, const std::vector<Pair>& pairs,
                      const std::vector<double>& along, double scale, char* d);

 private:
  template <class Kernel>
  void each(const Crew& crew, std::size_t per_block, Kernel kernel);
  double largest(std::size_t per_block) const;
  std::vector<double> totals(std::size_t per_block) const;
  Size size_of() const;
  std::vector<double> along_changes(const Crew& crew, const char* g, const std::vector<Pair>& pairs,
                                    const std::vector<double>& alpha, double scale, char* d);

  const std::vector<Segment> segments_;
  std::vector<std::size_t> block_ends_;  // blocks of all tensors up to each
  std::size_t elements_ = 0;
  std::vector<double> sums_;  // of blocks
};

}  // namespace gradstep
