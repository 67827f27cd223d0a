// Limits on gradients by their norm: of all together, of each tensor, of each unit of a tensor.
//
// A unit is a slice along a parameter's last axis: a column of a (fan_in, fan_out) weight. What a
// limit leaves of a tensor is a factor that kernels multiply grad_scale with. What it leaves of
// units, a step applies to a thousand elements at a time, in cache, on their way to the kernel.
#pragma once

#include <algorithm>

#include "engine/param_table.hpp"

namespace gradstep {

// The Euclidean norm of all gradients times |scale|, before any limit. Multiplies the rows'
// grad_scale with what clip_norm leaves and sets the tensors' limits and factors.
double limit_gradients(std::vector<Tensor>& tensors, std::vector<Row>& rows, double scale,
                       Workspace& workspace, const Crew& crew);

// Takes back what it set for tensors in an earlier step.
void lift_limits(std::vector<Tensor>& tensors, Workspace& workspace);

constexpr std::size_t limited_run = 1024;

// Writes elements [begin, end) of the gradient, times their units' factors, to `to`.
void apply_factors(const Tensor& tensor, std::size_t begin, std::size_t end, void* to);

// The same memory from element `begin` on.
Span advanced(const Tensor& tensor, std::size_t begin);

// Calls run(span, begin, end) for parts of a tensor's elements [begin, end), their gradient limited
// by its factors.
template <class Run>
void with_factors(const Tensor& tensor, std::size_t begin, std::size_t end, Run run) {
  alignas(64) double room[limited_run];
  while (begin < end) {
    const std::size_t next = std::min(begin + limited_run, end);
    apply_factors(tensor, begin, next, room);
    Span span = advanced(tensor, begin);
    span.grad = room;
    run(span, 0, next - begin);
    begin = next;
  }
}

}  // namespace gradstep
