#include "engine/parallel.hpp"

#include <algorithm>
#include <atomic>

#include "engine/cores.hpp"
#include "engine/openmp.hpp"

#ifndef _WIN32
#include <pthread.h>
#endif

namespace gradstep {
namespace {

std::atomic<int> chosen_threads{0};  // 0: one for each usable core
std::atomic<int> cores{0};           // 0: not counted yet
std::atomic<std::size_t> least_awake{24576}, least_asleep{196608}, least_anyway{6291456};
std::atomic<Pool*> own_pool{nullptr};  // never deleted: its threads live as long as the process
std::atomic<bool> in_forked_child{false};
std::atomic<PoolKind> for_all{PoolKind::automatic};

// A child has none of its parent's threads. It starts its own when it needs them.
#ifndef _WIN32
const int fork_handler_registered = pthread_atfork(nullptr, nullptr, [] {
  own_pool = nullptr;
  cores = 0;
  in_forked_child = true;
});
#endif

// An OpenMP library that the parent has used waits in a child for its threads for ever.
PoolKind available(PoolKind wished) {
  const PoolKind all = for_all, kind = all == PoolKind::automatic ? wished : all;
  return kind == PoolKind::openmp && !in_forked_child && loaded_openmp() ? kind : PoolKind::parking;
}

Pool& pool() {
  Pool* there = own_pool.load();
  if (there) return *there;
  auto* made = new Pool;
  if (own_pool.compare_exchange_strong(there, made)) return *made;
  delete made;
  return *there;
}

}  // namespace

PoolKind pool_for_all() { return for_all; }
PoolKind set_pool_for_all(PoolKind kind) { return for_all.exchange(kind); }

int num_threads() {
  const int chosen = chosen_threads;
  if (chosen > 0) return chosen;
  int counted = cores;
  if (counted == 0) cores = counted = usable_cores();
  return counted;
}

int set_num_threads(int count) { return chosen_threads.exchange(count); }

LeastWork least_work() { return {least_awake, least_asleep, least_anyway}; }

void set_least_work(LeastWork least) {
  least_awake = least.awake;
  least_asleep = least.asleep;
  least_anyway = least.anyway;
}

int parked_workers() {
  const Pool* there = own_pool.load();
  return there ? there->workers() : 0;
}

Crew::Crew(PoolKind wished, std::size_t work, int most)
    : kind_(available(wished)), work_(work), least_(least_awake) {
  if (work < 2 * least_) return;
  const int chosen = chosen_threads;
  threads_ = most == 0 ? num_threads() : chosen == 0 ? most : std::min(most, chosen);
  if (threads_ == 1 || kind_ == PoolKind::openmp) return;
  pool_ = &pool();
  const Pool::Begun begun = pool_->begin_step(work < least_anyway);
  if (!begun.follows) least_ = least_asleep;
  if (begun.alone) threads_ = 1;
}

Crew::~Crew() {
  if (pool_) pool_->end_step();
}

void Crew::call() const {
  const int threads = divide(work_).threads;
  if (pool_ && threads > 1) pool_->expect(threads);
}

Division Crew::divide(std::size_t work) const {
  const std::size_t worth = work / least_;
  if (worth < 2) return {1, 1};
  const int threads = static_cast<int>(std::min<std::size_t>(threads_, worth));
  if (threads == 1) return {1, 1};
  constexpr std::size_t fewest = 4, most = 64, wanted = 65536;
  const auto per_thread = std::clamp(work / wanted / threads, fewest, most);
  return {threads, threads * static_cast<int>(per_thread)};
}

void Crew::run_body(Division division, JobBody body, void* job) const {
  const auto [threads, chunks] = division;
  const bool shared = kind_ == PoolKind::openmp && !in_forked_child;
  int used = 1;
  if (threads > 1 && shared)
    used = run_on_openmp(threads, chunks, body, job);
  else if (threads > 1 && pool_)
    used = pool_->run(threads, chunks, body, job);
  else
    for (int chunk = 0; chunk < chunks; ++chunk) body(job, chunk);
  threads_used_ = std::max(threads_used_, used);
}

}  // namespace gradstep
