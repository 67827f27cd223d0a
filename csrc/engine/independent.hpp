// Tells the compiler that a loop's iterations are independent. `restrict` says the same of the
// arrays, but is lost on a parameter pack, and run-time overlap checks give up beyond a few arrays:
// a rule with three slots would silently stay scalar.
#pragma once

#if defined(__clang__)
#define GRADSTEP_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define GRADSTEP_INDEPENDENT _Pragma("GCC ivdep")
#elif defined(_MSC_VER)
#define GRADSTEP_INDEPENDENT __pragma(loop(ivdep))
#else
#define GRADSTEP_INDEPENDENT
#endif

// Asks for a cache line ahead of its use, the latter one for the second cache alone. GCC takes a
// function that does only this for one without effect, and drops calls of it: hence the empty
// assembly.
#if defined(__GNUC__)
#define GRADSTEP_PREFETCH(address) \
  do {                             \
    __builtin_prefetch(address);   \
    __asm__ volatile("");          \
  } while (false)
#define GRADSTEP_PREFETCH_SECOND(address) \
  do {                                    \
    __builtin_prefetch(address, 0, 2);    \
    __asm__ volatile("");                 \
  } while (false)
#else
#define GRADSTEP_PREFETCH(address)
#define GRADSTEP_PREFETCH_SECOND(address)
#endif

// Of functions that take whole blocks, and would be copied into every loop.
#if defined(_MSC_VER)
#define GRADSTEP_OUT_OF_LINE __declspec(noinline)
#else
#define GRADSTEP_OUT_OF_LINE __attribute__((noinline))
#endif
