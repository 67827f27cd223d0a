#include "engine/dispatch.hpp"

#include <atomic>
#include <stdexcept>

#include "engine/isa_tables.hpp"  // generated: built_tables

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <immintrin.h>
#include <intrin.h>
#endif

namespace gradstep {
namespace {

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
bool cpu_has(const std::string& isa) {
  if (isa == "sse2") return true;
  int leaf1[4], leaf7[4];
  __cpuid(leaf1, 1);
  __cpuidex(leaf7, 7, 0);
  const bool os_saves_registers = leaf1[2] & (1 << 27);
  const unsigned long long saved = os_saves_registers ? _xgetbv(0) : 0;
  const bool avx2 = (leaf7[1] & (1 << 5)) && (saved & 0x6) == 0x6;
  if (isa == "avx2") return avx2;
  const unsigned needed = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);  // F, DQ, BW, VL
  const bool all_there = (static_cast<unsigned>(leaf7[1]) & needed) == needed;
  return isa == "avx512" && avx2 && all_there && (saved & 0xe6) == 0xe6;
}
#elif defined(__x86_64__) || defined(__i386__)
bool cpu_has(const std::string& isa) {
  if (isa == "sse2") return __builtin_cpu_supports("sse2");
  if (isa == "avx2") return __builtin_cpu_supports("avx2");
  return isa == "avx512" && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#else
bool cpu_has(const std::string&) { return true; }  // one row, built for the architecture's baseline
#endif

const KernelTable* widest_supported() {
  const KernelTable* widest = nullptr;
  for (const KernelTable* table : built_tables)
    if (cpu_has(table->isa)) widest = table;
  if (!widest)
    throw std::runtime_error("gradstep was built for none of this CPU's instruction sets");
  return widest;
}

std::atomic<const KernelTable*>& active() {
  static std::atomic<const KernelTable*> table{widest_supported()};
  return table;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const KernelTable* table : built_tables)
    if (cpu_has(table->isa)) names.emplace_back(table->isa);
  return names;
}

const char* set_isa(const std::string& name) {
  std::string known;
  for (const KernelTable* table : built_tables) {
    if (name == table->isa && cpu_has(name)) return active().exchange(table)->isa;
    if (cpu_has(table->isa)) known += (known.empty() ? "'" : ", '") + std::string(table->isa) + "'";
  }
  throw std::invalid_argument("isa must be one that this build has and this CPU supports (" +
                              known + "), got '" + name + "'; leave it unset to use the widest");
}

const KernelTable& active_kernels() { return *active().load(); }

size_t rule_named(const std::string& name) {
  const KernelTable& kernels = active_kernels();
  for (size_t r = 0; r < kernels.rule_count; ++r)
    if (name == kernels.rules[r].name) return r;
  throw std::invalid_argument("no rule is named '" + name + "'");
}

}  // namespace gradstep
