// The stage: where arrays that kernels cannot take as they are become a span that they can.
//
// What is stored in the compute type, element by element as the parameter, is taken in place. Of
// the rest a block is loaded to the stack, a kernel runs on the block, and the next follows. The
// factors that limits leave of units are applied on the way.
#pragma once

#include <algorithm>
#include <memory>
#include <new>

#include "engine/param_table.hpp"

namespace gradstep {

// Elements of a block. Measures take them in the contract's blocks, so it is a multiple of these.
constexpr std::size_t stage_block = norm_block;
// Of a turned gradient, whose cache lines hold an element each of several rows, so many are loaded
// at once that these rows mostly are among them.
constexpr std::size_t turned_block = 64 * norm_block;

// Loads elements [begin, begin + count) of the gradient into the compute type.
void load_gradient(const Tensor& tensor, std::size_t begin, std::size_t count, void* to);

// Loads `count` elements of each of several rows along the parameter's last axis.
void load_gradient_rows(const Tensor& tensor, std::size_t begin, std::size_t rows,
                        std::size_t count, void* to);

// The same memory from element `begin` on.
Span advanced(const Tensor& tensor, std::size_t begin);

template <class T, class Run>
void run_on_blocks(const Tensor& tensor, std::size_t begin, std::size_t end, T* room,
                   std::size_t size, Run run) {
  while (begin < end) {
    const std::size_t count = std::min(size, end - begin);
    load_gradient(tensor, begin, count, room);
    Span span = advanced(tensor, begin);
    span.grad.data = room;
    run(span, std::size_t{0}, count);
    begin += count;
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
void run_staged(const Tensor& tensor, std::size_t begin, std::size_t end, Run run) {
  const bool turned = tensor.axes && tensor.axes->turned && end - begin > stage_block;
  if (T* const large = turned ? turned_room<T>() : nullptr) {
    run_on_blocks(tensor, begin, end, large, turned_block, run);
  } else {
    alignas(64) T room[stage_block];
    run_on_blocks(tensor, begin, end, room, stage_block, run);
  }
}

// Calls run(span, from, to) for parts of a tensor's elements [begin, end), in order, with arrays of
// these roles in the compute type. All parts but the last are multiples of stage_block long.
template <class Run>
void staged(const Tensor& tensor, std::uint32_t roles, std::size_t begin, std::size_t end,
            Run run) {
  if (!(tensor.staged & roles)) return run(tensor.span, begin, end);
  if (tensor.dtype == float32)
    run_staged<float>(tensor, begin, end, run);
  else
    run_staged<double>(tensor, begin, end, run);
}

}  // namespace gradstep
