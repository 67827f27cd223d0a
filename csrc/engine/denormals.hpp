// Flushing denormals to zero: off unless asked for, as it leaves the numeric contract.
#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define GRADSTEP_MXCSR
#elif defined(__aarch64__) && !defined(_MSC_VER)
#define GRADSTEP_FPCR
#endif

namespace gradstep {

bool set_flush_denormals(bool on);  // returns what was set before
bool flush_denormals();

// While it lives, this thread takes denormals for zero and gives zero in their place, if `on`.
class DenormalsFlushed {
 public:
  explicit DenormalsFlushed(bool on) : on_(on) {
    if (!on_) return;
    before_ = mode();
    set_mode(before_ | flushing);
  }
  ~DenormalsFlushed() {
    if (on_) set_mode(before_);
  }
  DenormalsFlushed(const DenormalsFlushed&) = delete;
  DenormalsFlushed& operator=(const DenormalsFlushed&) = delete;

 private:
#if defined(GRADSTEP_MXCSR)
  static constexpr std::uint64_t flushing = 0x8040;  // flush to zero, denormals are zero
  static std::uint64_t mode() { return _mm_getcsr(); }
  static void set_mode(std::uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(GRADSTEP_FPCR)
  static constexpr std::uint64_t flushing = 1u << 24;  // flush to zero, of inputs and results
  static std::uint64_t mode() {
    std::uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
  }
  static void set_mode(std::uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
  static constexpr std::uint64_t flushing = 0;
  static std::uint64_t mode() { return 0; }
  static void set_mode(std::uint64_t) {}
#endif

  const bool on_;
  std::uint64_t before_ = 0;
};

}  // namespace gradstep
