// A slot of matrices that is kept as two factors: running means of the squares of their rows, and
// of their columns. An element of it is the product of its row's and its column's, over the mean of
// the rows. Shazeer & Stern 2018, arXiv:1804.04235, Algorithm 4. What rules take is 1/√ of that,
// and so a product, too: a root and a quotient for each row and column, and none for elements.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "engine/measure.hpp"
#include "engine/param_table.hpp"
#include "engine/stage.hpp"

namespace gradstep {

class Factored {
 public:
  // A number of each line of elements that follow one another, and one of each place in the lines
  // of a matrix; in the compute type, as all of it.
  Factored(DType dtype, void* lines, void* within, std::size_t matrices, std::size_t per_matrix,
           std::size_t length, bool lines_are_rows);

  // Adds the sums that the factors are averages of.
  void measure(const Tensor& tensor, Measures& measures);
  // Makes the factors of this step, from gradients that are scaled by `scale`; means of rows are at
  // least `least`.
  void average(double scale, double take, double least);
  // Keeps them.
  void keep() const;

  // Calls run(from, to, products) for parts of elements [begin, end), at most so many of them that
  // products stay in the nearest cache, and all but the last multiples of norm_block.
  template <class Run>
  void with_products(std::size_t begin, std::size_t end, Run run) const {
    constexpr std::size_t most = 2 * norm_block;
    alignas(64) double room[most];
    for (std::size_t to; begin < end; begin = to) {
      to = std::min(begin + most, end);
      write_products(begin, to - begin, room);
      run(begin, to, static_cast<void*>(room));
    }
  }

 private:
  struct Factor {
    void* kept;
    std::size_t size;
    std::size_t terms;                      // of each mean
    std::vector<double> sums, next, roots;  // the latter two hold the compute type
  };

  void write_products(std::size_t begin, std::size_t count, void* to) const;
  template <class T>
  void average_factor(Factor& factor, double scale, double take) const;
  // Writes 1/√ of the factors, those of rows being over the mean of their matrix.
  template <class T>
  void invert_roots(double least);

  DType dtype_;
  Factor lines_, within_;
  std::size_t matrices_;
  bool lines_are_rows_;
};

// As staged, with the products of factors for the first slot of tensors that are factored.
template <class Run>
void complete(const Tensor& tensor, std::uint32_t roles, Access access, std::size_t begin,
              std::size_t end, Run run) {
  if (!tensor.factored || !(roles & role_of_slot(0)))
    return staged(tensor, roles, access, begin, end, run);
  tensor.factored->with_products(
      begin, end, [&](std::size_t first, std::size_t last, void* products) {
        staged(tensor, roles, access, first, last,
               [&](const Span& span, std::size_t from, std::size_t to) {
                 Span part = advanced(span, from);
                 const std::size_t at = tensor.span.size - part.size - first;
                 part.slots[0].data = static_cast<char*>(products) + at * item_size(tensor.dtype);
                 run(part, std::size_t{0}, to - from);
               });
      });
}

}  // namespace gradstep
