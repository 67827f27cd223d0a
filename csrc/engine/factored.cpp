#include "engine/factored.hpp"

#include <cstring>

#include "engine/dispatch.hpp"

namespace gradstep {
namespace {

template <class T>
T* as(std::vector<double>& room) {
  return reinterpret_cast<T*>(room.data());
}

}  // namespace

Factored::Factored(DType dtype, void* lines, void* within, std::size_t matrices,
                   std::size_t per_matrix, std::size_t length, bool lines_are_rows)
    : dtype_(dtype),
      lines_{lines, matrices * per_matrix, length, {}, {}, {}},
      within_{within, matrices * length, per_matrix, {}, {}, {}},
      matrices_(matrices),
      lines_are_rows_(lines_are_rows) {
  for (Factor* factor : {&lines_, &within_}) {
    const std::size_t room = (factor->size * item_size(dtype) + 7) / sizeof(double);
    factor->sums.resize(factor->size);
    factor->next.resize(room);
    factor->roots.resize(room);
  }
}

void Factored::measure(const Tensor& tensor, Measures& measures) {
  lines_.sums.assign(lines_.size, 0.0);
  within_.sums.assign(within_.size, 0.0);
  measures.add(
      squares_both_ways(tensor, lines_.terms, matrices_, lines_.sums.data(), within_.sums.data()));
}

void Factored::average(double scale, double take, double least) {
  const auto average = [&](auto zero) {
    using T = decltype(zero);
    average_factor<T>(lines_, scale, take);
    average_factor<T>(within_, scale, take);
    invert_roots<T>(least);
  };
  dtype_ == float32 ? average(0.0f) : average(0.0);
}

template <class T>
void Factored::average_factor(Factor& factor, double scale, double take) const {
  const T* const kept = static_cast<const T*>(factor.kept);
  const T weight = static_cast<T>(take);
  const double share = scale * scale / static_cast<double>(factor.terms);
  for (std::size_t i = 0; i < factor.size; ++i) {
    const T mean = static_cast<T>(share * factor.sums[i]);
    as<T>(factor.next)[i] = kept[i] + weight * (mean - kept[i]);
  }
}

template <class T>
void Factored::invert_roots(double least) {
  const InverseRootsFn inverse_roots = active_kernels().inverse_roots[dtype_];
  Factor &rows = lines_are_rows_ ? lines_ : within_, &columns = lines_are_rows_ ? within_ : lines_;
  inverse_roots(columns.next.data(), 1, columns.size, columns.roots.data());
  const std::size_t count = rows.size / matrices_;
  for (std::size_t m = 0; m < matrices_; ++m) {
    const T* const of_matrix = as<T>(rows.next) + m * count;
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(of_matrix[i]);
    const double mean = sum / static_cast<double>(count);
    inverse_roots(of_matrix, mean < least ? least : mean, count, as<T>(rows.roots) + m * count);
  }
}

void Factored::keep() const {
  for (const Factor* factor : {&lines_, &within_})
    std::memcpy(factor->kept, factor->next.data(), factor->size * item_size(dtype_));
}

void Factored::write_products(std::size_t begin, std::size_t count, void* to) const {
  const std::size_t length = lines_.terms, item = item_size(dtype_);
  const ScaleFn scale = active_kernels().scale[dtype_];
  const auto* const lines = reinterpret_cast<const char*>(lines_.roots.data());
  const auto* const within = reinterpret_cast<const char*>(within_.roots.data());
  auto* at = static_cast<char*>(to);
  while (count > 0) {
    const std::size_t line = begin / length, place = begin % length;
    const std::size_t width = std::min(length - place, count);
    const std::size_t first = line / within_.terms * length + place;
    scale(within + first * item, lines + line * item, width, at);
    begin += width;
    count -= width;
    at += width * item;
  }
}

}  // namespace gradstep
