// A worker that gets no core: the caller does everything itself and does not wait for it; and when
// it comes at last it finds nothing, and touches nothing of a job that is over.
//
// A worker looks up its CPU between waking and its first chunk. Here that takes as long as the test
// wants.
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "engine/pool.hpp"

namespace {

std::mutex mutex;
std::condition_variable changed;
bool let_go = false;
int held = 0;
const std::thread::id caller = std::this_thread::get_id();

void check(bool holds, const char* what) {
  if (holds) return;
  std::printf("%s\n", what);
  std::fflush(stdout);
  std::_Exit(1);
}

struct Job {
  std::mutex mutex;
  std::set<std::thread::id> who;
  std::vector<int> runs;
  std::chrono::microseconds chunk_takes{0};

  explicit Job(int chunks) : runs(chunks, 0) {}
  static void run(void* of, int chunk) {
    Job& job = *static_cast<Job*>(of);
    std::this_thread::sleep_for(job.chunk_takes);
    const std::lock_guard<std::mutex> lock(job.mutex);
    job.who.insert(std::this_thread::get_id());
    ++job.runs[chunk];
  }
};

void wait_until_held(int workers) {
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait(lock, [&] { return held == workers; });
}

}  // namespace

extern "C" int sched_getcpu() noexcept {
  if (std::this_thread::get_id() == caller) return 0;
  std::unique_lock<std::mutex> lock(mutex);
  ++held;
  changed.notify_all();
  changed.wait(lock, [] { return let_go; });
  return 1;
}

int main() {
  alarm(240);  // a caller that waits would wait for ever
  constexpr int threads = 3, chunks = 12;
  static gradstep::Pool pool;
  for (int step = 0; step < 100; ++step) {
    Job job(chunks);
    check(pool.run(threads, chunks, Job::run, &job) == 1, "a worker counts that ran nothing");
    check(job.runs == std::vector<int>(chunks, 1), "not every chunk ran once");
    check(job.who == std::set{caller}, "a chunk ran on a worker that is held");
  }
  wait_until_held(threads - 1);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    let_go = true;
  }
  changed.notify_all();
  Job job(chunks);
  job.chunk_takes = std::chrono::milliseconds(20);
  const int used = pool.run(threads, chunks, Job::run, &job);
  check(used == static_cast<int>(job.who.size()), "not as many threads are counted as ran chunks");
  check(used > 1, "workers that were let go take no part");
  check(job.runs == std::vector<int>(chunks, 1),
        "not every chunk ran once after workers came late");
  // A new pool watches for eight steps. A helper that takes longer for a chunk than the caller for
  // all the others is not asked again for eight steps, then for sixteen.
  static gradstep::Pool watching;
  const auto alone_for = [] {
    int steps = 0;
    while (std::this_thread::sleep_for(std::chrono::milliseconds(1)),
           watching.begin_step(true).alone) {
      watching.end_step();
      ++steps;
    }
    watching.end_step();
    return steps;
  };
  check(alone_for() >= 8, "helpers are asked at once");
  const auto slowly = [](void* of, int chunk) {
    Job::run(of, chunk);
    if (std::this_thread::get_id() != caller)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
  };
  for (int fewest = 8; fewest <= 16; fewest *= 2) {
    Job slow(chunks);
    slow.chunk_takes = std::chrono::microseconds(500);
    check(watching.run(threads, chunks, slowly, &slow) > 1, "no worker takes part");
    check(alone_for() >= fewest, "late workers are asked again at once");
  }
  std::puts("the caller waits for nobody");
  std::fflush(stdout);
  std::_Exit(0);  // workers sleep until the process ends
}
