// Jobs of many sizes from several threads at once, each chunk of which must run once. Built with
// ThreadSanitizer, it also finds what is not ordered: see .ci/full.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "engine/pool.hpp"

namespace {

gradstep::Pool pool;

void drive(unsigned seed) {
  std::mt19937 random(seed);
  for (int step = 0; step < 4000; ++step) {
    const int threads = 2 + static_cast<int>(random() % 4);
    const int chunks = threads * (1 + static_cast<int>(random() % 6));
    std::vector<int> runs(chunks, 0);
    const bool in_step = random() % 2;
    if (in_step) {
      pool.begin_step(false);
      if (random() % 2) pool.expect(threads);
    }
    for (int job = 0; job < 2; ++job)
      pool.run(
          threads, chunks, [](void* of, int c) { ++(*static_cast<std::vector<int>*>(of))[c]; },
          &runs);
    if (in_step) pool.end_step();
    if (std::any_of(runs.begin(), runs.end(), [](int count) { return count != 2; })) {
      std::puts("a chunk did not run once per job");
      std::exit(1);
    }
  }
}

}  // namespace

int main() {
  std::thread one(drive, 1), two(drive, 2);
  drive(3);
  one.join();
  two.join();
  std::printf("%d workers\n", pool.workers());
  std::fflush(stdout);
  std::_Exit(0);  // workers sleep until the process ends
}
