// Another library's OpenMP threads: PyTorch's, above all.
//
// gradstep is linked with no OpenMP of its own, which would be a second pool whose waiting threads
// keep the first one's from the cores. It takes the one that the process has loaded, if any.
#pragma once

#include "engine/pool.hpp"

namespace gradstep {

// The file of the GNU OpenMP library that this process has loaded; null: none.
const char* loaded_openmp();

// Calls body(job, chunk) for every chunk, on `threads` of its threads. Returns how many it had.
int run_on_openmp(int threads, int chunks, JobBody body, void* job);

}  // namespace gradstep
