// Compiled once per instruction set, with GRADSTEP_ISA naming it. Exports its kernel table and
// nothing else: all other code is in anonymous namespaces, so the linker can never hand a function
// built for a newer CPU to an older one.
#include "engine/coded_loop.hpp"
#include "engine/element_loop.hpp"
#include "engine/formats.hpp"
#include "engine/in_registers.hpp"
#include "engine/kernel_table.hpp"
#include "engine/packing8.hpp"
#include "engine/reductions.hpp"
#include "engine/rooflines.hpp"
#include "engine/vector_loops.hpp"
#include "engine/whole_loop.hpp"
#include "rules/registry.hpp"

#define GRADSTEP_JOIN(a, b) a##b
#define GRADSTEP_TABLE(isa) GRADSTEP_JOIN(gradstep_kernels_, isa)
#define GRADSTEP_TEXT(x) #x
#define GRADSTEP_NAME(isa) GRADSTEP_TEXT(isa)

namespace gradstep {
namespace {

template <class Rule, class = void>
constexpr bool has_momentum = false;
template <class Rule>
constexpr bool has_momentum<Rule, std::void_t<decltype(Rule::has_momentum)>> = true;

// Roots and quotients take their time one after another, everything else beside them.
template <class Rule, class = void>
constexpr unsigned cost = 1;
template <class Rule>
constexpr unsigned cost<Rule, std::void_t<decltype(Rule::roots_and_quotients)>> =
    Rule::roots_and_quotients;

template <template <class> class Rule, class S, Extras extras, bool cautious>
constexpr UpdateFn update_for() {
  if constexpr (takes_blocks<Rule<typename S::Compute>, S>)
    return update_in_blocks<Rule, S, extras, cautious>;
  else
    return update<Rule, S, extras, cautious>;
}

template <template <class> class Rule, class S, bool cautious>
constexpr void fill_updates(UpdateFn (&to)[extras_count]) {
  to[lean] = update_for<Rule, S, lean, cautious>();
  to[full] = update_for<Rule, S, full, cautious>();
  to[averaging] = update_for<Rule, S, averaging, cautious>();
}

template <template <class> class Rule, class S>
constexpr void fill_in_registers(UpdateFn (&to)[extras_count]) {
  to[lean] = update_in_registers<Rule, S, lean>;
  to[full] = update_in_registers<Rule, S, full>;
}

// SSE2 has nothing to convert many elements with: there the stage is as fast.
#if defined(__SSE2__) && !defined(__AVX2__)
constexpr bool converts_in_registers = false;
#else
constexpr bool converts_in_registers = true;
#endif

template <template <class> class Rule>
constexpr void fill_narrow(UpdateFn (&to)[narrow_count][extras_count]) {
  using Half = Bfloat16;
  fill_in_registers<Rule, InRegisters<float*, Half, float>>(to[bfloat16_grad]);
  fill_in_registers<Rule, InRegisters<CopiedParam, Half, float>>(to[bfloat16_grad_and_copy]);
  fill_in_registers<Rule, InRegisters<Half*, Half, Half>>(to[bfloat16_all]);
  fill_in_registers<Rule, InRegisters<SplitParam, Half, Half>>(to[bfloat16_all_split]);
  if constexpr (Rule<float>::slots.size > 0) {
    fill_in_registers<Rule, InRegisters<float*, float, Half>>(to[bfloat16_state]);
    fill_in_registers<Rule, InRegisters<float*, Half, Half>>(to[bfloat16_grad_and_state]);
    to[coded_state][lean] = update_coded<Rule, lean>;
    to[coded_state][full] = update_coded<Rule, full>;
  }
}

// Whether a rule does everything in one pass over elements; for the others, whose loops would make
// the library half as large again, the stage converts.
template <class Rule, class = void>
constexpr bool is_element_wise = derived_count<Rule> == 0;
template <class Rule>
constexpr bool is_element_wise<Rule, std::void_t<decltype(Rule::part_of_more)>> = false;

template <template <class> class Rule>
constexpr RuleInfo rule_info();

template <template <class> class Rule>
constexpr RuleInfo info_of = rule_info<Rule>();

template <class Rule, class = void>
constexpr const RuleInfo* of_factors = nullptr;
template <class Rule>
constexpr const RuleInfo* of_factors<Rule, std::void_t<typename Rule::template OfFactors<float>>> =
    &info_of<Rule::template OfFactors>;

template <template <class> class Rule>
constexpr RuleInfo rule_info() {
  using R = Rule<float>;
  RuleInfo info{R::name,
                R::coefficients.at,
                R::coefficients.size,
                R::slots.at,
                R::slots.size,
                squares<R>,
                cost<R>,
                {},
                {},
                {},
                {},
                whole_tensors<Rule>(),
                of_factors<R>};
  fill_updates<Rule, Plain<float>, false>(info.update[float32]);
  fill_updates<Rule, Plain<double>, false>(info.update[float64]);
  if constexpr (converts_in_registers && is_element_wise<R>) fill_narrow<Rule>(info.narrow_update);
  if constexpr (has_momentum<R>) {
    fill_updates<Rule, Plain<float>, true>(info.cautious_update[float32]);
    fill_updates<Rule, Plain<double>, true>(info.cautious_update[float64]);
    info.agreeing[float32] = agreeing<Rule, Plain<float>>;
    info.agreeing[float64] = agreeing<Rule, Plain<double>>;
  }
  return info;
}

template <class List>
struct RuleTable;

template <template <class> class... Rule>
struct RuleTable<RuleList<Rule...>> {
  static constexpr RuleInfo at[] = {rule_info<Rule>()...};
  static constexpr size_t size = sizeof...(Rule);
};

template <class T, size_t... K>
constexpr void fill_streams(StreamFn (&to)[max_slots + 1], std::index_sequence<K...>) {
  ((to[K] = stream<T, K + 1>), ...);
}

template <class T, unsigned roots, size_t... quotients>
constexpr void fill_quotients(DivideFn (&to)[most_quotients + 1],
                              std::index_sequence<quotients...>) {
  ((to[quotients] = divide<T, roots, quotients>), ...);
}

template <class T, size_t... roots>
constexpr void fill_roots(DivideFn (&to)[most_roots + 1][most_quotients + 1],
                          std::index_sequence<roots...>) {
  (fill_quotients<T, roots>(to[roots], std::make_index_sequence<most_quotients + 1>{}), ...);
}

template <class T>
constexpr void fill_divides(DivideFn (&to)[most_roots + 1][most_quotients + 1]) {
  fill_roots<T>(to, std::make_index_sequence<most_roots + 1>{});
}

template <class Stored>
constexpr void fill_loads(KernelTable& table, Format format) {
  const auto f = static_cast<size_t>(format);
  table.load[f][float32] = load_values<Stored, float>;
  table.load[f][float64] = load_values<Stored, double>;
  table.load_turned[f][float32] = load_turned<Stored, float>;
  table.load_turned[f][float64] = load_turned<Stored, double>;
}

template <class Packed>
constexpr void fill_packing(KernelTable& table, Format format) {
  table.packing[static_cast<size_t>(format)] = {Packed::unpack, Packed::pack};
}

constexpr void fill_packings(KernelTable& table) {
  fill_packing<Nearest<Float16>>(table, Format::float16);
  fill_packing<Nearest<Bfloat16>>(table, Format::bfloat16);
  fill_packing<Stochastic<Float16>>(table, Format::float16_stochastic);
  fill_packing<Stochastic<Bfloat16>>(table, Format::bfloat16_stochastic);
  fill_packing<Kahan<Float16>>(table, Format::float16_kahan);
  fill_packing<Kahan<Bfloat16>>(table, Format::bfloat16_kahan);
  fill_packing<Split>(table, Format::bfloat16_split);
  fill_packing<Dithered<Float16>>(table, Format::float16_dithered);
  fill_packing<Dithered<Bfloat16>>(table, Format::bfloat16_dithered);
  fill_packing<Blocks8<moments8>>(table, Format::moments8);
  fill_packing<Blocks8<squares8>>(table, Format::squares8);
}

template <class T>
constexpr void fill_for(KernelTable& table, DType dtype) {
  table.grad_squares[dtype] = grad_squares<T>;
  table.param_squares[dtype] = param_squares<T>;
  table.sum_columns[dtype] = sum_columns<T>;
  table.sum_tile[dtype] = sum_tile<T>;
  table.scale[dtype] = scale_values<T>;
  table.inverse_roots[dtype] = inverse_roots<T>;
  table.vectors[dtype] = vector_kernels<T>();
  fill_streams<T>(table.stream[dtype], std::make_index_sequence<max_slots + 1>{});
  fill_divides<T>(table.divide[dtype]);
}

constexpr KernelTable kernel_table() {
  KernelTable table{};
  table.isa = GRADSTEP_NAME(GRADSTEP_ISA);
  table.rules = RuleTable<Registry>::at;
  table.rule_count = RuleTable<Registry>::size;
  fill_for<float>(table, float32);
  fill_for<double>(table, float64);
  fill_loads<float>(table, Format::float32);
  fill_loads<double>(table, Format::float64);
  fill_loads<Float16>(table, Format::float16);
  fill_loads<Bfloat16>(table, Format::bfloat16);
  fill_packings(table);
  return table;
}

}  // namespace

extern const KernelTable GRADSTEP_TABLE(GRADSTEP_ISA);
constexpr KernelTable GRADSTEP_TABLE(GRADSTEP_ISA) = kernel_table();

}  // namespace gradstep
