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
    factor->next.resize(room);
    factor->scaled.resize(room);
  }
}

void Factored::measure(const Tensor& tensor, Measures& measures) {
  lines_.sums.assign(lines_.size, 0.0);
  within_.sums.assign(within_.size, 0.0);
  measures.add(squares(tensor, {lines_.size, false, 1}, grad_role, lines_.sums.data()));
  measures.add(squares(tensor, {lines_.terms, true, matrices_}, grad_role, within_.sums.data()));
}

void Factored::average(double scale, double take, double least) {
  const auto average = [&](auto zero) {
    using T = decltype(zero);
    average_factor<T>(lines_, scale, take);
    average_factor<T>(within_, scale, take);
    divide_by_means<T>(lines_are_rows_ ? lines_ : within_, least);
  };
  dtype_ == float32 ? average(0.0f) : average(0.0);
}

template <class T>
void Factored::average_factor(Factor& factor, double scale, double take) const {
  const T* const kept = static_cast<const T*>(factor.kept);
  const T weight = static_cast<T>(take);
  for (std::size_t i = 0; i < factor.size; ++i) {
    const double mean = scale * scale * factor.sums[i] / static_cast<double>(factor.terms);
    const T next = kept[i] + weight * (static_cast<T>(mean) - kept[i]);
    as<T>(factor.next)[i] = as<T>(factor.scaled)[i] = next;
  }
}

template <class T>
void Factored::divide_by_means(Factor& rows, double least) const {
  const std::size_t count = rows.size / matrices_;
  for (std::size_t m = 0; m < matrices_; ++m) {
    T* const of_matrix = as<T>(rows.scaled) + m * count;
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(of_matrix[i]);
    const double mean = sum / static_cast<double>(count);
    const T divisor = static_cast<T>(mean < least ? least : mean);
    for (std::size_t i = 0; i < count; ++i) of_matrix[i] = of_matrix[i] / divisor;
  }
}

void Factored::keep() const {
  for (const Factor* factor : {&lines_, &within_})
    std::memcpy(factor->kept, factor->next.data(), factor->size * item_size(dtype_));
}

void Factored::write_products(std::size_t begin, std::size_t count, void* to) const {
  const std::size_t length = lines_.terms, item = item_size(dtype_);
  const ScaleFn scale = active_kernels().scale[dtype_];
  const auto* const lines = reinterpret_cast<const char*>(lines_.scaled.data());
  const auto* const within = reinterpret_cast<const char*>(within_.scaled.data());
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
