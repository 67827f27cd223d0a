// The update of tensors, and the room that a step works in, kept from step to step.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/measure.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

struct Workspace {
  // A row's kernels and its coefficients, cast once to each compute type.
  struct CastRow {
    const UpdateFn* kernels[dtype_count];
    Extras extras;
    float as_float32[max_coefficients];
    double as_float64[max_coefficients];
  };
  std::vector<CastRow> rows;
  std::vector<std::size_t> ends;  // the elements in all tensors up to each
  Measures measures;
  std::vector<double> tensor_sums;              // squares of each gradient
  std::vector<double> unit_grads, unit_params;  // and of the units of some, as of parameters
  std::vector<double> factors;                  // what limits leave of units
  std::vector<float> float_factors;
  std::vector<double> agreeing;  // by tensor: elements whose step suits the gradient
  // What rules take of a whole tensor, and of all together.
  struct Whole {
    double sums[max_sums], scalars[max_scalars], derived[max_derived];
    double size;
  };
  std::vector<Whole> whole;
  bool limited = false;  // whether tensors hold limits of a step
};

// How many elements of each tensor a cautious step would move against their gradient; the workspace
// keeps them.
void count_agreeing(std::vector<Tensor>& tensors, const std::vector<Row>& rows,
                    Workspace& workspace, const Crew& crew);

// Updates every tensor of [first, last) that has a gradient, in one parallel job, or, where there
// are factors, in one for each batch of tensors; where rows are cautious, each after another one
// that counts. Returns the name of the instruction set whose kernels
// did it. `counts`, of all tensors, are taken for counted; null: they are counted.
const char* update(std::vector<Tensor>& tensors, std::size_t first, std::size_t last,
                   const std::vector<Row>& rows, Workspace& workspace, const Crew& crew,
                   const double* counts = nullptr);

}  // namespace gradstep
