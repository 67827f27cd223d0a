// Python's global lock, let go of while the engine works.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>

namespace gradstep {

class GilReleased {
 public:
  GilReleased() = default;
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

  // Before Python 3.14 a daemon thread that wants the lock back while the interpreter is being shut
  // down is ended by pthread_exit, which with glibc unwinds its stack as an exception does: no
  // destructor may be left that way, and those of Python's objects may not run without the lock. As
  // from 3.14 on, it waits for the end of the process instead.
  ~GilReleased() {
    try {
      PyEval_RestoreThread(thread_);
    } catch (...) {
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }

 private:
  PyThreadState* const thread_ = PyEval_SaveThread();
};

}  // namespace gradstep
