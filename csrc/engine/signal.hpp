// A number that one thread waits on until others change it.
#pragma once

#include <atomic>
#include <cstdint>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <condition_variable>
#include <mutex>
#endif

namespace gradstep {

// The checks in csrc/gates wait wherever another thread may come between.
struct NoDelay {
  static void at_gap() {}
};

template <class Delay>
class BasicSignal {
 public:
  std::uint32_t value() const { return value_.load(std::memory_order_acquire); }

  void reset(std::uint32_t value) { value_.store(value, std::memory_order_relaxed); }

  // Returns the new value. Wakes who waits; costs a system call only if somebody does.
  std::uint32_t add(std::uint32_t number) {
    const std::uint32_t now = value_.fetch_add(number) + number;
    Delay::at_gap();
    if (waiting_.load() && waiting_.exchange(0)) {
      Delay::at_gap();
      wake();
    }
    return now;
  }

  // Sleeps while the value is `old`. It is `waiting_` that is slept on, and said anew before each
  // sleep: who has changed the value earlier may take it back as late as he likes.
  void wait_while(std::uint32_t old) {
    for (waiting_.store(1);; waiting_.store(1)) {
      Delay::at_gap();
      if (value_.load() != old) break;
      Delay::at_gap();
      sleep();
    }
    waiting_.store(0, std::memory_order_relaxed);
  }

 private:
#ifdef __linux__
  void wake() { syscall(SYS_futex, &waiting_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0); }
  void sleep() { syscall(SYS_futex, &waiting_, FUTEX_WAIT_PRIVATE, 1, nullptr, nullptr, 0); }
#else
  void wake() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
    }
    changed_.notify_one();
  }
  void sleep() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (waiting_.load()) changed_.wait(lock);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
#endif

  std::atomic<std::uint32_t> value_{0}, waiting_{0};
};

using Signal = BasicSignal<NoDelay>;

}  // namespace gradstep
