// Limits on gradients by their norm: of all together, of each tensor, of each unit of a tensor.
//
// A unit is a slice along a parameter's last axis or its first: a column of a (fan_in, fan_out)
// weight, a row of a (fan_out, fan_in) one. What a limit leaves of a tensor is a factor that
// kernels multiply grad_scale with. What it leaves of units, the stage applies.
#pragma once

#include <vector>

#include "engine/param_table.hpp"
#include "engine/update.hpp"

namespace gradstep {

// The sum of squares of all gradients; those of each are kept in the workspace.
double sum_of_squares(const std::vector<Tensor>& tensors, Workspace& workspace, const Crew& crew);

// The Euclidean norm of all gradients times |scale|, before any limit. Sets the rows' grad_scale to
// what clip_norm leaves of their scale, and the tensors' limits and factors.
double limit_gradients(std::vector<Tensor>& tensors, std::vector<Row>& rows, double scale,
                       Workspace& workspace, const Crew& crew);

// Sums of squares over blocks, of one tensor after another: of the gradients; and where units are
// limited, over the units' blocks of those that have several, and of all parameters.
struct BlockSums {
  std::vector<double> squares, unit_grads, unit_params;
};

// Of the blocks that lie within the parts of tensors that are here.
BlockSums block_sums(std::vector<Tensor>& tensors, const std::vector<Row>& rows,
                     Workspace& workspace, const Crew& crew);

// limit_gradients, by those of all blocks of the whole tensors; false where there are others.
bool limit_by_blocks(std::vector<Tensor>& tensors, std::vector<Row>& rows, double scale,
                     Workspace& workspace, const BlockSums& sums, double* norm);

// Takes back what it set for tensors in an earlier step.
void lift_limits(std::vector<Tensor>& tensors, Workspace& workspace);

}  // namespace gradstep
