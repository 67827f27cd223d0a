// The stage: where arrays that kernels cannot take as they are become a span that they can.
//
// What is stored in the compute type, element by element as the parameter, is taken in place. Of
// the rest a block is loaded to the stack, a kernel runs on the block, what it has changed is
// stored, and the next follows. The factors that limits leave of units are applied on the way.
#pragma once

#include <algorithm>
#include <memory>
#include <new>

#include "engine/fetch.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

// Elements of a block. Measures take them in the contract's blocks, so it is a multiple of these.
constexpr std::size_t stage_block = norm_block;
// Of a turned gradient, whose cache lines hold an element each of several rows, so many are loaded
// at once that these rows mostly are among them.
constexpr std::size_t turned_block = 64 * norm_block;

// Loads elements [begin, begin + count) of the gradient, or the parameter, into the compute type.
void load_values(const Tensor& tensor, Role role, std::size_t begin, std::size_t count, void* to);

// Loads `count` elements of each of several rows, which begin so many elements apart.
void load_rows(const Tensor& tensor, Role role, std::size_t begin, std::size_t apart,
               std::size_t rows, std::size_t count, void* to);

// The same memory from element `begin` on.
Span advanced(Span span, std::size_t begin);

// A block of a tensor's arrays of these roles, in float32.
class Block {
 public:
  Block(const Tensor& tensor, std::uint32_t roles) : tensor_(tensor), roles_(roles) {}

  // Loads elements [begin, begin + count), and lets `span` have them.
  void load(std::size_t begin, std::size_t count, Span& span);
  // Stores what a kernel has made of them.
  void store(std::size_t begin, std::size_t count, const Span& span) const;

 private:
  const Tensor& tensor_;
  const std::uint32_t roles_;
  alignas(64) float room_[max_slots + 2][stage_block];
};

enum class Access { read, update };

// `grad`: of the elements from `begin` on, in the compute type; null: as the tensor has it.
template <class Run>
void run_on_stored(const Tensor& tensor, std::uint32_t roles, Access access, std::size_t begin,
                   std::size_t end, void* grad, Run run) {
  Block block(tensor, roles);
  const std::size_t most = access == Access::update ? scale_block : stage_block;
  while (begin < end) {
    const std::size_t count = std::min(most, end - begin);
    if (access == Access::update) fetch(tensor.span, begin);
    Span span = advanced(tensor.span, begin);
    if (grad) span.grad.data = grad;
    block.load(begin, count, span);
    run(span, std::size_t{0}, count);
    if (access == Access::update) {
      fetch(tensor.span, begin + fetch_block);
      block.store(begin, count, span);
    }
    begin += count;
    if (grad) grad = static_cast<char*>(grad) + count * item_size(tensor.dtype);
  }
}

// Calls run(grad, begin, end) for parts of [begin, end), the gradient in the compute type.
template <class T, class Run>
void with_gradient(const Tensor& tensor, std::size_t begin, std::size_t end, T* room,
                   std::size_t size, Run run) {
  while (begin < end) {
    const std::size_t last = begin + std::min(size, end - begin);
    load_values(tensor, grad_role, begin, last - begin, room);
    run(room, begin, last);
    begin = last;
  }
}

// This thread's room for turned_block elements; null where there is no memory, as jobs must not
// throw.
template <class T>
T* turned_room() {
  thread_local const std::unique_ptr<T[]> room(new (std::nothrow) T[turned_block]);
  return room.get();
}

template <class T, class Run>
void with_gradient(const Tensor& tensor, std::size_t begin, std::size_t end, Run run) {
  const bool turned = tensor.axes && tensor.axes->turned && end - begin > stage_block;
  if (T* const large = turned ? turned_room<T>() : nullptr) {
    with_gradient(tensor, begin, end, large, turned_block, run);
  } else {
    alignas(64) T room[stage_block];
    with_gradient(tensor, begin, end, room, stage_block, run);
  }
}

// Calls run(span, from, to) for parts of a tensor's elements [begin, end), in order, with arrays of
// these roles in the compute type. All parts but the last are multiples of scale_block long, and of
// stage_block where they are only read.
template <class Run>
void staged(const Tensor& tensor, std::uint32_t roles, Access access, std::size_t begin,
            std::size_t end, Run run) {
  const std::uint32_t stored = tensor.staged & roles & ~grad_role;
  if (!(tensor.staged & roles & grad_role)) {
    if (stored) return run_on_stored(tensor, stored, access, begin, end, nullptr, run);
    return run(tensor.span, begin, end);
  }
  const auto on_part = [&](void* grad, std::size_t first, std::size_t last) {
    if (stored) return run_on_stored(tensor, stored, access, first, last, grad, run);
    Span span = advanced(tensor.span, first);
    span.grad.data = grad;
    run(span, std::size_t{0}, last - first);
  };
  if (tensor.dtype == float32)
    with_gradient<float>(tensor, begin, end, on_part);
  else
    with_gradient<double>(tensor, begin, end, on_part);
}

}  // namespace gradstep
