// Threads: how many, whose, and the one door to them.
//
// Whether a second thread pays depends on what the program does between two steps: docs/threads.md.
#pragma once

#include <cstddef>

#include "engine/denormals.hpp"
#include "engine/pool.hpp"

namespace gradstep {

// Whose threads a job runs on: our own, which sleep between steps, or those of the OpenMP library
// that the process has loaded, where it has one. Python has the names: gradstep/runtime.py.
enum class PoolKind : int { automatic, parking, openmp };

// What all jobs run on; automatic: on what each wishes. Returns the choice before.
PoolKind pool_for_all();
PoolKind set_pool_for_all(PoolKind kind);

int num_threads();
// 0: one for each usable core. Returns the choice before.
int set_num_threads(int count);

// Work is counted in elements as cheap as those of plain SGD in float32. A thread that is awake is
// used for at least the first number of them, one that has to be woken for the second. A step of
// the third is worth other threads even where others want their cores. docs/decisions/ has what the
// first two are measured by, 0004-thread-threshold.md, and what the third is for,
// 0015-threads-that-park.md.
struct LeastWork {
  std::size_t awake, asleep, anyway;
};
LeastWork least_work();
void set_least_work(LeastWork least);

// How many threads of our own there are beside the callers'.
int parked_workers();

// Into how many chunks a job is cut, and how many threads take them.
struct Division {
  int threads, chunks;
};

// The threads of one step: of jobs that follow one another at once.
class Crew {
 public:
  // `work` is that of its largest job, `most` how many threads there may be; 0: as set for all.
  Crew(PoolKind wished, std::size_t work, int most = 0);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Wakes who will be needed while the caller has other things to do.
  void call() const;

  // How many threads a job is worth, and several chunks for each, so that those who are done can
  // help the others.
  Division divide(std::size_t work) const;

  // Calls job(chunk) for every chunk, each once. Jobs must not throw.
  template <class Job>
  void run(Division division, Job& job) const {
    run_body(
        division,
        [](void* j, int chunk) {
          const StandardArithmetic standard;
          (*static_cast<Job*>(j))(chunk);
        },
        &job);
  }

  // Whose threads its jobs run on, and the most that have run chunks of one, with the caller's.
  PoolKind kind() const { return kind_; }
  int threads_used() const { return threads_used_; }

 private:
  void run_body(Division division, JobBody body, void* job) const;

  const PoolKind kind_;
  const std::size_t work_;
  std::size_t least_;  // work for a thread
  int threads_ = 1;
  mutable int threads_used_ = 1;
  Pool* pool_ = nullptr;  // where the step is worth more than one thread
};

}  // namespace gradstep
