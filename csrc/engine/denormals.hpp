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

// The part of a thread's floating-point mode that decides results: rounding, and what becomes of
// denormals.
class ArithmeticMode {
 public:
  ~ArithmeticMode() {
    if (changed_) set_mode(before_);
  }
  ArithmeticMode(const ArithmeticMode&) = delete;
  ArithmeticMode& operator=(const ArithmeticMode&) = delete;

 protected:
  explicit ArithmeticMode(bool flushed) : before_(mode()) {
    const std::uint64_t wanted = (before_ & ~deciding) | (flushed ? flushing : 0);
    changed_ = wanted != before_;
    if (changed_) set_mode(wanted);
  }

 private:
#if defined(GRADSTEP_MXCSR)
  static constexpr std::uint64_t flushing = 0x8040;  // flush to zero, denormals are zero
  static constexpr std::uint64_t deciding = flushing | 0x6000;
  static std::uint64_t mode() { return _mm_getcsr(); }
  static void set_mode(std::uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(GRADSTEP_FPCR)
  static constexpr std::uint64_t flushing = 1u << 24;  // flush to zero, of inputs and results
  static constexpr std::uint64_t deciding = flushing | 3u << 22;
  static std::uint64_t mode() {
    std::uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
  }
  static void set_mode(std::uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
  static constexpr std::uint64_t flushing = 0, deciding = 0;
  static std::uint64_t mode() { return 0; }
  static void set_mode(std::uint64_t) {}
#endif

  const std::uint64_t before_;
  bool changed_;
};

// While it lives, this thread rounds to nearest and keeps denormals, whatever the program has set
// for its own: the bits are to be the same on every thread.
struct StandardArithmetic : ArithmeticMode {
  StandardArithmetic() : ArithmeticMode(false) {}
};

// While it lives, this thread takes denormals for zero and gives zero in their place, if `on`.
struct DenormalsFlushed : ArithmeticMode {
  explicit DenormalsFlushed(bool on) : ArithmeticMode(on) {}
};

}  // namespace gradstep
