// Threads. The only place that knows OpenMP.
#pragma once

#include <cstddef>

namespace gradstep {

bool has_openmp();
int num_threads();
void set_num_threads(int count);

// Below this many elements a step runs on the calling thread: waking others would cost more.
// Measured in docs/decisions/0004-thread-threshold.md.
constexpr std::size_t thread_threshold = 32768;

// How many threads a job of this many elements is worth.
int threads_for(std::size_t elements);

namespace detail {
void run_parallel(int threads, void (*body)(void* job, int thread), void* job);
}

// Calls job(thread) for every thread in [0, threads), each on its own thread where that is
// possible.
template <class Job>
void parallel(int threads, Job& job) {
  detail::run_parallel(threads, [](void* j, int thread) { (*static_cast<Job*>(j))(thread); }, &job);
}

}  // namespace gradstep
