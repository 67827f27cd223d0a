#include "engine/parallel.hpp"

#include <algorithm>
#include <atomic>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(_OPENMP) && !defined(_WIN32)
#include <pthread.h>
#endif

namespace gradstep {
namespace {

std::atomic<int> chosen_threads{0};  // 0: as OpenMP finds fit
std::atomic<std::size_t> least_elements{24576};
std::atomic<bool> in_forked_child{false};

// An OpenMP runtime does not survive a fork: its worker threads are gone, and the child's first
// parallel region waits for them for ever. A child therefore runs serially.
#if defined(_OPENMP) && !defined(_WIN32)
const int fork_handler_registered =
    pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; });
#endif

}  // namespace

bool has_openmp() {
#ifdef _OPENMP
  return true;
#else
  return false;
#endif
}

int num_threads() {
  if (in_forked_child) return 1;
#ifdef _OPENMP
  const int chosen = chosen_threads;
  return chosen > 0 ? chosen : omp_get_max_threads();
#else
  return 1;
#endif
}

int set_num_threads(int count) { return chosen_threads.exchange(count); }

int threads_for(std::size_t elements) {
  const std::size_t worth = elements / least_elements;
  return worth < 2 ? 1 : static_cast<int>(std::min<std::size_t>(num_threads(), worth));
}

std::size_t elements_per_thread() { return least_elements; }

void set_elements_per_thread(std::size_t count) { least_elements = count; }

void detail::run_parallel(int threads, void (*body)(void* job, int thread), void* job) {
  if (threads > 1 && !in_forked_child) {
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static, 1)
#endif
    for (int thread = 0; thread < threads; ++thread) body(job, thread);
  } else {
    for (int thread = 0; thread < threads; ++thread) body(job, thread);
  }
}

}  // namespace gradstep
