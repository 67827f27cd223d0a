#include "engine/pool.hpp"

#include <algorithm>
#include <exception>
#include <thread>

#ifdef __linux__
#include <sched.h>
#include <sys/resource.h>
#endif
#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#endif
#if defined(__x86_64__) || defined(_M_X64) || defined(__i386__)
#include <immintrin.h>
#endif

namespace gradstep {
namespace {

// After a step that followed another one within `at_once`, workers wait awake so long for the next.
// Python and a model's cold caches lie between two steps in a tight loop: 10 to 20 µs were seen.
constexpr std::chrono::microseconds spin_time{25}, at_once{25};
// A caller that has waited so much longer for a helper's chunk than it has worked itself has waited
// for one that had no core.
constexpr std::chrono::microseconds late{200};
// Between two steps. Alone on its cores, a loop of NumPy's products sees two in 1 of 100.
constexpr long often = 3;
// How long workers at most wait awake within a step, whose thread may have lost its core.
constexpr std::chrono::microseconds most_in_step{100};

void pause() {
#if defined(__x86_64__) || defined(_M_X64) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  __asm__ volatile("isb");
#else
  std::this_thread::yield();
#endif
}

#ifdef __linux__
int current_cpu() { return sched_getcpu(); }

// Where all CPUs are busy, as NumPy's BLAS keeps them for a while, the scheduler may put a worker
// on the caller's, where it only delays it. There it is moved to another one, if it may run on
// others.
void leave(int cpu) {
  if (cpu < 0 || sched_getcpu() != cpu) return;
  cpu_set_t allowed;
  if (cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed)) return;
  cpu_set_t others = allowed;
  CPU_CLR(cpu, &others);
  if (sched_setaffinity(0, sizeof others, &others) == 0)
    sched_setaffinity(0, sizeof allowed, &allowed);
}

// How often the scheduler has given this thread's core to another one, against its will.
long times_put_off() {
  rusage used;
  return getrusage(RUSAGE_THREAD, &used) == 0 ? used.ru_nivcsw : 0;
}
#else
int current_cpu() { return -1; }
void leave(int) {}
long times_put_off() { return 0; }
#endif

// Signals are for the threads of the program, but for those of faults, which are a thread's own.
class SignalsBlocked {
#ifndef _WIN32
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&all, own);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
#endif
};

}  // namespace

int Pool::Share::take(bool first) {
  std::uint64_t left = left_.load(std::memory_order_acquire);
  for (;;) {
    const auto next = static_cast<std::uint32_t>(left),
               end = static_cast<std::uint32_t>(left >> 32);
    if (next == end) return -1;
    const std::uint64_t rest = first ? pack(next + 1, end) : pack(next, end - 1);
    if (left_.compare_exchange_weak(left, rest)) return static_cast<int>(first ? next : end - 1);
  }
}

bool Pool::Contention::look(long put_off) {
  constexpr int forgiving = 8, share = 8;
  if (alone_ > 0) {
    ++looks_;
    disturbed_ += put_off > 0;
    if (--alone_ == 0) {
      if (disturbed_ * share > looks_) be_alone();
      looks_ = disturbed_ = 0;
    }
    return true;
  }
  if (put_off >= often) {
    be_alone();
    return true;
  }
  if (level_ > 0 && ++calm_ == forgiving) {
    --level_;
    calm_ = 0;
  }
  return false;
}

void Pool::Contention::be_alone() {
  constexpr int highest = 8;
  level_ = std::min(level_ + 1, highest);
  calm_ = 0;
  alone_ = 4 << level_;
}

int Pool::run(int threads, int chunks, JobBody body, void* job) {
  const std::unique_lock<std::mutex> mine(busy_, std::try_to_lock);
  threads = mine ? staffed(std::min(threads, chunks)) : 1;
  if (threads == 1) {
    for (int chunk = 0; chunk < chunks; ++chunk) body(job, chunk);
    return 1;
  }
  const auto began = Clock::now();
  body_ = body;
  job_ = job;
  chunks_ = static_cast<std::uint32_t>(chunks);
  done_.reset(0);
  helpers_.store(0, std::memory_order_relaxed);
  threads_.store(threads, std::memory_order_release);
  caller_cpu_.store(current_cpu(), std::memory_order_relaxed);
  for (int t = 0; t < threads; ++t)
    seats_[t].load()->share.fill(
        static_cast<std::uint32_t>(std::int64_t{chunks} * t / threads),
        static_cast<std::uint32_t>(std::int64_t{chunks} * (t + 1) / threads));
  call_next(0);
  const int own = take_part(0);
  std::uint32_t done = done_.add(static_cast<std::uint32_t>(own));
  const auto since = Clock::now();
  for (; done != chunks_; done = done_.value()) {
    if (Clock::now() - since < spin_time)
      pause();
    else
      done_.wait_while(done);
  }
  if (Clock::now() - since > since - began + late) contention_.be_alone();
  return helpers_.load(std::memory_order_relaxed) + (own > 0);
}

Pool::Begun Pool::begin_step(bool small) {
  const bool follows = Clock::now() - last_end_.load(std::memory_order_relaxed) < at_once;
  follows_.store(follows, std::memory_order_relaxed);
  in_step_.store(true, std::memory_order_relaxed);
  if (follows || !small) return {follows, false};
  thread_local long before = times_put_off();
  const long now = times_put_off(), put_off = now - before;
  before = now;
  const std::unique_lock<std::mutex> mine(busy_, std::try_to_lock);
  return {follows, mine && contention_.look(put_off)};
}

void Pool::end_step() {
  last_end_.store(Clock::now(), std::memory_order_relaxed);
  in_step_.store(false, std::memory_order_release);
}

void Pool::expect(int threads) {
  const std::unique_lock<std::mutex> mine(busy_, std::try_to_lock);
  if (!mine) return;
  threads_.store(staffed(threads), std::memory_order_release);
  caller_cpu_.store(current_cpu(), std::memory_order_relaxed);
  call_next(0);
}

// As many threads as can be had, up to `threads`. Where one cannot, the next is tried after a
// while.
int Pool::staffed(int threads) {
  const int wanted = std::min(threads, most_threads) - 1;
  if (workers_ < wanted && Clock::now() - last_failure_ > std::chrono::seconds(1)) start(wanted);
  return std::min(threads, workers_ + 1);
}

void Pool::start(int wanted) {
  try {
    if (!seats_[0].load()) seats_[0] = new Seat;
    for (; workers_ < wanted; ++workers_) {
      const int number = workers_ + 1;
      if (!seats_[number].load()) seats_[number] = new Seat;
      [[maybe_unused]] const SignalsBlocked blocked;
      std::thread([this, number] { serve(number); }).detach();
    }
  } catch (const std::exception&) {  // no memory, or no more threads
    last_failure_ = Clock::now();
  }
}

void Pool::call(int number) { seats_[number].load(std::memory_order_acquire)->call.add(1); }

// Everyone calls two others, so that many are awake in little time.
void Pool::call_next(int number) {
  const int threads = threads_.load(std::memory_order_acquire);
  for (const int next : {2 * number + 1, 2 * number + 2})
    if (next < threads) call(next);
}

// Runs chunks until there are none, and returns how many it ran.
int Pool::take_part(int number) {
  int ran = 0;
  const int threads = threads_.load(std::memory_order_acquire);
  for (int t = 0; t < threads; ++t) {
    Share& share = seats_[(number + t) % threads].load(std::memory_order_acquire)->share;
    for (int chunk; (chunk = t == 0 ? share.take_first() : share.take_last()) >= 0; ++ran)
      body_(job_, chunk);
  }
  return ran;
}

bool Pool::worth_spinning(Clock::time_point since) const {
  const auto now = Clock::now();
  if (in_step_.load(std::memory_order_acquire)) return now - since < most_in_step;
  return follows_.load(std::memory_order_relaxed) && now - last_end_.load() < spin_time;
}

void Pool::serve(int number) {
  Seat& seat = *seats_[number].load();
  for (std::uint32_t seen = 0;;) {
    for (const auto since = Clock::now(); seat.call.value() == seen;) {
      if (worth_spinning(since))
        pause();
      else
        seat.call.wait_while(seen);
    }
    seen = seat.call.value();
    leave(caller_cpu_.load(std::memory_order_relaxed));
    call_next(number);
    if (const int ran = take_part(number)) {
      helpers_.fetch_add(1, std::memory_order_relaxed);
      done_.add(static_cast<std::uint32_t>(ran));
    }
  }
}

}  // namespace gradstep
