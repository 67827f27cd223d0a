// Threads of our own. Between steps they sleep, so that the cores belong to whoever works next.
//
// A job is cut into chunks, and every thread has a share of them, the same one from step to step.
// Who is done with its own share takes from the ends of the others' (work stealing). The calling
// thread therefore never waits for a thread that has not begun: where all cores are busy it does
// everything itself.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

#include "engine/signal.hpp"

namespace gradstep {

using JobBody = void (*)(void* job, int chunk);

class Pool {
 public:
  static constexpr int most_threads = 1024;

  // Calls body(job, chunk) for every chunk, on up to `threads` threads with the caller's. If
  // another thread's job is running, or no thread can be had, the caller does it all. Returns how
  // many threads ran any.
  int run(int threads, int chunks, JobBody body, void* job);

  struct Begun {
    bool
        follows;  // the step before it at once; if so, workers stay awake for a while after it, too
    bool alone;   // whether it should have no helpers
  };

  // Begins a step of several jobs. `small`: it is not worth waiting for a core.
  Begun begin_step(bool small);
  // Calls the workers of `threads` threads to the step's jobs, before these are there.
  void expect(int threads);
  void end_step();

  // How many threads there are beside the callers'.
  int workers() const { return workers_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;

  // The chunks [next, end) of one thread's share that nobody has taken yet.
  class Share {
   public:
    void fill(std::uint32_t next, std::uint32_t end) { left_.store(pack(next, end)); }
    int take_first() { return take(true); }
    int take_last() { return take(false); }

   private:
    static std::uint64_t pack(std::uint32_t next, std::uint32_t end) {
      return std::uint64_t{end} << 32 | next;
    }
    int take(bool first);  // -1: nothing is left

    std::atomic<std::uint64_t> left_{0};
  };

  // On cache lines of its own, two of them: CPUs fetch lines in pairs.
  struct alignas(128) Seat {
    Share share;
    Signal call;  // counts the jobs that its worker was called to
  };

  // Where others want the cores, helpers cost more than they bring: they are kept from them in the
  // middle of a chunk, and themselves keep from them what the caller waits for elsewhere, as the
  // threads of NumPy's BLAS. So the first few steps are done alone, and where the caller is put off
  // its core meanwhile, or a helper was late, twice as many before helpers are asked again. Belongs
  // to who has `busy_`.
  class Contention {
   public:
    // Whether the next step is done alone, the caller having been put off its core so many times
    // since the last one.
    bool look(long put_off);
    void be_alone();

   private:
    int level_ = 0, calm_ = 0;
    int alone_ = 8, looks_ = 0, disturbed_ = 0;
  };

  int staffed(int threads);
  void start(int wanted);
  void serve(int number);
  void call(int number);
  void call_next(int number);
  int take_part(int number);
  bool worth_spinning(Clock::time_point since) const;

  std::mutex busy_;
  Contention contention_;
  std::array<std::atomic<Seat*>, most_threads> seats_{};  // 0 is the caller's
  std::atomic<int> workers_{0};
  Clock::time_point last_failure_{};  // to start a worker
  std::atomic<Clock::time_point> last_end_{};

  // Of the job that is running. Who has taken a chunk may read them until it has reported it done.
  JobBody body_ = nullptr;
  void* job_ = nullptr;
  std::uint32_t chunks_ = 0;
  std::atomic<int> threads_{1}, caller_cpu_{-1};
  std::atomic<bool> in_step_{false}, follows_{false};
  alignas(128) Signal done_;     // counts chunks
  std::atomic<int> helpers_{0};  // workers that ran any
};

}  // namespace gradstep
