#include "engine/stage.hpp"

#include "engine/dispatch.hpp"

namespace gradstep {
namespace {

// A gradient's elements in the order of its parameter: rows along the last axis, one after another.
template <class T>
class Loader {
 public:
  explicit Loader(const Tensor& tensor)
      : data_(static_cast<const char*>(tensor.span.grad.data)),
        axes_(*tensor.axes),
        last_(axes_.of.back()) {
    const auto format = static_cast<std::size_t>(tensor.span.grad.format);
    load_ = active_kernels().load[format][tensor.dtype];
    load_turned_ = active_kernels().load_turned[format][tensor.dtype];
  }

  void load(std::size_t begin, std::size_t count, T* to) const {
    std::size_t row = begin / last_.length;
    std::size_t within = begin % last_.length;
    while (count > 0) {
      const std::size_t rows = axes_.turned && within == 0 ? whole_rows(row, count) : 1;
      const std::size_t width = std::min(last_.length - within, count);
      const char* from = row_at(row) + static_cast<std::ptrdiff_t>(within) * last_.stride;
      if (rows > 1)
        load_turned_(from, last_.stride, axes_.of[axes_.of.size() - 2].stride, rows, width, to,
                     last_.length);
      else
        load_(from, last_.stride, width, to);
      to += rows * width;
      count -= rows * width;
      row += rows;
      within = 0;
    }
  }

 private:
  // How many of `count` elements' rows from this one on are whole and apart by the same stride.
  std::size_t whole_rows(std::size_t row, std::size_t count) const {
    const std::size_t length = axes_.of[axes_.of.size() - 2].length;
    return std::max<std::size_t>(1, std::min(count / last_.length, length - row % length));
  }

  const char* row_at(std::size_t row) const {
    const char* at = data_;
    for (std::size_t axis = axes_.of.size() - 1; axis-- > 0 && row > 0;) {
      const auto [length, stride] = axes_.of[axis];
      at += static_cast<std::ptrdiff_t>(row % length) * stride;
      row /= length;
    }
    return at;
  }

  const char* data_;
  const Axes& axes_;
  const Axes::Axis last_;
  LoadFn load_;
  LoadTurnedFn load_turned_;
};

template <class T>
void apply_factors(const Tensor& tensor, std::size_t begin, std::size_t count, T* values) {
  const T* factors = static_cast<const T*>(tensor.factors);
  const std::size_t run = tensor.alternating ? tensor.units : whole_size(tensor) / tensor.units;
  begin += tensor.before;
  while (count > 0) {
    const std::size_t within = begin % run;
    const std::size_t width = std::min(run - within, count);
    if (tensor.alternating)
      for (std::size_t i = 0; i < width; ++i) values[i] = values[i] * factors[within + i];
    else
      for (std::size_t i = 0; i < width; ++i) values[i] = values[i] * factors[begin / run];
    begin += width;
    values += width;
    count -= width;
  }
}

template <class T>
void load(const Tensor& tensor, std::size_t begin, std::size_t count, T* to) {
  if (tensor.axes) {
    Loader<T>(tensor).load(begin, count, to);
  } else {
    const Array& grad = tensor.span.grad;
    const std::size_t size = item_size(grad.format);
    active_kernels().load[static_cast<std::size_t>(grad.format)][tensor.dtype](
        static_cast<const char*>(grad.data) + begin * size, static_cast<std::ptrdiff_t>(size),
        count, to);
  }
  if (tensor.factors) apply_factors(tensor, begin, count, to);
}

void advance(Array& array, std::size_t begin) {
  if (!array.data) return;
  array.data = static_cast<char*>(array.data) + begin * item_size(array.format);
  if (array.beside)
    array.beside = static_cast<char*>(array.beside) + bytes_beside(array.format, begin);
}

const Packing& packing(const Array& array) {
  return active_kernels().packing[static_cast<std::size_t>(array.format)];
}

bool is_coded(Format format) { return item_size(format) == 1; }

// Calls act(key, from, count) for the parts of `count` elements from number `begin` of the whole in
// memory on whose numbers are evenly apart; `from` counts from `begin`.
template <class Act>
void numbered(const Tensor& tensor, DrawKey key, std::size_t begin, std::size_t count, Act act) {
  key.number = static_cast<std::uint32_t>(begin);
  if (!tensor.numbers) return act(key, std::size_t{0}, count);
  const std::vector<Axes::Axis>& axes = tensor.numbers->of;
  for (std::size_t from = 0, width; from < count; from += width) {
    std::size_t at = begin + from, number = 0;
    width = std::min(axes.back().length - at % axes.back().length, count - from);
    for (std::size_t axis = axes.size(); axis-- > 0; at /= axes[axis].length)
      number += at % axes[axis].length * static_cast<std::size_t>(axes[axis].stride);
    key.number = static_cast<std::uint32_t>(number);
    key.apart = static_cast<std::uint32_t>(axes.back().stride);
    act(key, from, width);
  }
}

// Calls act(array, staged, room) for the arrays of these roles: as the tensor has them, as the span
// of a block has them, and the number of their room. The copy has none.
template <class Tensor, class Span, class Act>
void of_roles(std::uint32_t roles, Tensor& tensor, Span& span, Act act) {
  if (roles & param_role) act(tensor.span.param, span.param, param_draws);
  if (roles & average_role) act(tensor.span.average, span.average, average_draws);
  for (std::size_t k = 0; k < max_slots; ++k)
    if (roles & role_of_slot(k)) act(tensor.span.slots[k], span.slots[k], slot_draws + k);
}

}  // namespace

std::uint32_t narrow_roles(const Tensor& tensor) {
  const Span& span = tensor.span;
  std::uint32_t roles = 0;
  const auto note = [&roles](const Array& array, std::uint32_t role) {
    if (array.data && !is_plain(array.format)) roles |= role;
  };
  note(span.param, param_role);
  note(span.average, average_role);
  note(span.copy, copy_role);
  for (std::size_t k = 0; k < max_slots; ++k) note(span.slots[k], role_of_slot(k));
  return roles;
}

void load_values(const Tensor& tensor, Role role, std::size_t begin, std::size_t count, void* to) {
  if (role == param_role)
    packing(tensor.span.param).unpack(tensor.span.param, begin, count, to);
  else if (tensor.dtype == float32)
    load(tensor, begin, count, static_cast<float*>(to));
  else
    load(tensor, begin, count, static_cast<double*>(to));
}

void load_rows(const Tensor& tensor, Role role, std::size_t begin, std::size_t apart,
               std::size_t rows, std::size_t count, void* to) {
  if (count == apart) return load_values(tensor, role, begin, rows * count, to);
  for (std::size_t row = 0; row < rows; ++row, begin += apart) {
    load_values(tensor, role, begin, count, to);
    to = static_cast<char*>(to) + count * item_size(tensor.dtype);
  }
}

Span advanced(Span span, std::size_t begin) {
  advance(span.param, begin);
  advance(span.grad, begin);
  advance(span.average, begin);
  advance(span.copy, begin);
  span.size -= begin;
  span.draws.number += static_cast<std::uint32_t>(begin);
  for (Array& slot : span.slots) advance(slot, begin);
  return span;
}

void Block::load(std::size_t begin, std::size_t count, Span& span) {
  of_roles(roles_, tensor_, span, [&](const Array& array, Array& staged, std::size_t room) {
    packing(array).unpack(array, begin, count, room_[room]);
    staged.data = room_[room];
  });
}

void Block::store(std::size_t begin, std::size_t count, const Span& span) const {
  of_roles(roles_, tensor_, span, [&](const Array& array, const Array& staged, std::size_t room) {
    const float* values = static_cast<const float*>(staged.data);
    const PackFn pack = packing(array).pack;
    DrawKey key = tensor_.span.draws.of_array(static_cast<std::uint32_t>(room));
    const auto store = [&](const DrawKey& of_part, std::size_t from, std::size_t size) {
      pack(array, begin + from, size, of_part, values + from);
    };
    const std::size_t in_whole = tensor_.before + begin;
    if (!is_coded(array.format)) return numbered(tensor_, key, in_whole, count, store);
    key.number = static_cast<std::uint32_t>(in_whole);
    store(key, 0, count);
  });
  const Array& copy = tensor_.span.copy;
  if (roles_ & copy_role) packing(copy).pack(copy, begin, count, {}, span.param.data);
}

}  // namespace gradstep
