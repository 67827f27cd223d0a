#include <algorithm>
#include <numeric>

#include "engine/dispatch.hpp"
#include "engine/parallel.hpp"
#include "engine/param_table.hpp"
#include "engine/partition.hpp"

namespace gradstep {
namespace {

constexpr std::size_t blocks_per_wave = 4096;

std::size_t blocks_of(const Tensor& tensor) {
  return present(tensor) ? (tensor.span.size + norm_block - 1) / norm_block : 0;
}

}  // namespace

double sum_of_squares(const std::vector<Tensor>& tensors, Workspace& workspace, const Crew& crew) {
  const KernelTable& kernels = active_kernels();
  std::vector<std::size_t>& ends = workspace.ends;
  const std::size_t blocks = accumulate(tensors, blocks_of, ends);
  std::vector<double>& sums = workspace.block_sums;
  sums.resize(std::min(blocks, blocks_per_wave));

  std::vector<double>& tensor_sums = workspace.tensor_sums;
  tensor_sums.assign(tensors.size(), 0.0);
  std::size_t adding = 0;  // the tensor whose blocks are being added
  for (std::size_t wave = 0; wave < blocks; wave += blocks_per_wave) {
    const std::size_t in_wave = std::min(blocks - wave, blocks_per_wave);
    const Division division = crew.divide(in_wave * norm_block);
    auto job = [&, chunks = division.chunks](int chunk) {
      const std::size_t last = wave + in_wave * (chunk + 1) / chunks;
      std::size_t block = wave + in_wave * chunk / chunks;
      for (std::size_t t = tensor_at(ends, block); block < last; ++t) {
        const Tensor& tensor = tensors[t];
        const std::size_t first = ends[t] - blocks_of(tensor);
        for (; block < std::min(last, ends[t]); ++block) {
          const std::size_t begin = (block - first) * norm_block;
          const std::size_t count = std::min(norm_block, tensor.span.size - begin);
          const char* grad = static_cast<const char*>(tensor.span.grad);
          sums[block - wave] =
              kernels.sum_squares[tensor.dtype](grad + begin * item_size(tensor.dtype), count);
        }
      }
    };
    crew.run(division, job);
    for (std::size_t b = 0; b < in_wave; ++b) {
      while (wave + b == ends[adding]) ++adding;
      tensor_sums[adding] += sums[b];
    }
  }
  return std::accumulate(tensor_sums.begin(), tensor_sums.end(), 0.0);
}

void stream(DType dtype, const void* read, void* const* written, std::size_t count,
            std::size_t size, std::uint32_t cost) {
  const StreamFn run = active_kernels().stream[dtype][count - 1];
  const Crew crew(PoolKind::parking, size * cost);
  const Division division = crew.divide(size * cost);
  auto job = [&, chunks = division.chunks](int chunk) {
    run(read, written, size / chunks * chunk,
        chunk + 1 == chunks ? size : size / chunks * (chunk + 1));
  };
  crew.run(division, job);
}

}  // namespace gradstep
