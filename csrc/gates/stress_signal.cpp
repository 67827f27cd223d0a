// Signals whose threads are delayed wherever another one may come between: no wake-up is lost.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "engine/signal.hpp"

namespace {

constexpr int workers = 3, rounds = 3000;

// Mostly none, sometimes long enough for the others to go to sleep.
struct RandomDelay {
  static void at_gap() {
    thread_local std::minstd_rand random{
        static_cast<unsigned>(std::hash<std::thread::id>{}(std::this_thread::get_id()))};
    if (random() % 4 == 0)
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 100));
    else if (random() % 2)
      std::this_thread::yield();
  }
};
using DelayedSignal = gradstep::BasicSignal<RandomDelay>;

// As in the pool: everyone is called, and reports; the caller waits for all.
DelayedSignal calls[workers], done;

void serve(DelayedSignal& call) {
  for (std::uint32_t seen = 0; seen < rounds;) {
    call.wait_while(seen);
    seen = call.value();
    done.add(1);
  }
}

}  // namespace

int main() {
  alarm(240);  // where a wake-up is lost, somebody waits for ever
  std::vector<std::thread> threads;
  for (DelayedSignal& call : calls) threads.emplace_back(serve, std::ref(call));
  for (int round = 0; round < rounds; ++round) {
    done.reset(0);
    for (DelayedSignal& call : calls) call.add(1);
    for (std::uint32_t now; (now = done.value()) != workers;) done.wait_while(now);
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("%d rounds\n", rounds);
}
