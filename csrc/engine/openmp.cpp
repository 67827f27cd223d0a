#include "engine/openmp.hpp"

#ifdef __linux__
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <type_traits>
#endif

namespace gradstep {

#ifdef __linux__
namespace {

// The interface that compilers generate calls of; GCC has kept it since version 4.9.
struct Openmp {
  void (*parallel)(void (*body)(void*), void* data, unsigned threads, unsigned flags);
  int (*thread)();
  int (*threads)();
  std::string file;
};

// PyTorch 2.13's wheel brings its libgomp under this name, so that whoever asks for it shares it.
const Openmp* find() {
  void* library = dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD);
  if (!library) return nullptr;
  Openmp found;
  const auto look_up = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
    return function != nullptr;
  };
  link_map* map = nullptr;
  if (!look_up(found.parallel, "GOMP_parallel") || !look_up(found.thread, "omp_get_thread_num") ||
      !look_up(found.threads, "omp_get_num_threads") || dlinfo(library, RTLD_DI_LINKMAP, &map))
    return nullptr;
  found.file = map->l_name;
  return new Openmp(found);
}

// Looked for until it is there: it may be loaded at any time, and stays.
const Openmp* openmp() {
  static std::atomic<const Openmp*> known{nullptr};
  const Openmp* found = known.load(std::memory_order_acquire);
  if (!found) {
    found = find();
    if (found) known.store(found, std::memory_order_release);
  }
  return found;
}

struct Region {
  const Openmp* openmp;
  int threads, chunks;
  JobBody body;
  void* job;
  int used;
};

void take_share(void* data) {
  Region& region = *static_cast<Region*>(data);
  const int thread = region.openmp->thread();
  const int threads = std::min(region.threads, region.openmp->threads());
  if (thread >= threads) return;
  if (thread == 0) region.used = threads;
  const int end = static_cast<int>(std::int64_t{region.chunks} * (thread + 1) / threads);
  for (int c = static_cast<int>(std::int64_t{region.chunks} * thread / threads); c < end; ++c)
    region.body(region.job, c);
}

}  // namespace

const char* loaded_openmp() { return openmp() ? openmp()->file.c_str() : nullptr; }

int run_on_openmp(int threads, int chunks, JobBody body, void* job) {
  // The team is as large as its owner's: of a smaller one the library would end the other threads.
  constexpr unsigned as_many_as_ever = 0;
  Region region{openmp(), threads, chunks, body, job, 0};
  region.openmp->parallel(take_share, &region, as_many_as_ever, 0);
  return region.used;
}
#else
const char* loaded_openmp() { return nullptr; }
int run_on_openmp(int, int, JobBody, void*) { return 0; }
#endif

}  // namespace gradstep
