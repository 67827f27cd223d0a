#include "engine/dispatch.hpp"
#include "engine/parallel.hpp"
#include "engine/param_table.hpp"

namespace gradstep {

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
