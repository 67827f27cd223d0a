// Threads. The only place that knows OpenMP.
#pragma once

#include <cstddef>

namespace gradstep {

bool has_openmp();
int num_threads();
// 0: as many as OpenMP finds fit. Returns the choice before.
int set_num_threads(int count);

// How many threads a job of this many elements, each as cheap as one of plain SGD, is worth. A
// thread is woken for at least elements_per_thread of them, so a job of fewer than twice as many
// stays on the calling thread.
// Its default is measured in docs/decisions/0004-thread-threshold.md.
int threads_for(std::size_t elements);
std::size_t elements_per_thread();
void set_elements_per_thread(std::size_t count);

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
