// What is taken of whole tensors before steps: how many elements suit their gradients, sums of a
// rule's terms of each element, and what follows from these.
#pragma once

#include "engine/element_loop.hpp"
#include "engine/reductions.hpp"

namespace gradstep {
namespace {

template <class S, class Shared, class Rule, class... State>
inline size_t count_loop(const Shared shared, const Rule rule, size_t count,
                         const typename S::Compute* __restrict param,
                         const typename S::Grad* __restrict grad, const State* __restrict... slot) {
  using T = typename S::Compute;
  size_t agreeing = 0;
  for (size_t i = 0; i < count; ++i) {
    const T g = shared.template gradient<full>(load<T>(grad + i), load<T>(param + i));
    agreeing +=
        [&](auto... state) { return agree(step_of(rule, g, state...), g); }(load<T>(slot + i)...);
  }
  return agreeing;
}

template <template <class> class Rule, class S, size_t... K>
inline size_t count_slots(const void* coefficients, const Span& span, size_t begin, size_t end,
                          std::index_sequence<K...>) {
  using T = typename S::Compute;
  const T* own = static_cast<const T*>(coefficients);
  return count_loop<S>(read_shared(own, span), read_rule<Rule<T>>(own + shared_count, span.derived),
                       end - begin, static_cast<const T*>(span.param.data) + begin,
                       static_cast<const typename S::Grad*>(span.grad.data) + begin,
                       (static_cast<const typename S::State*>(span.slots[K].data) + begin)...);
}

template <template <class> class Rule, class S>
void agreeing(const void* coefficients, const Span& span, size_t begin, size_t end, double* sums) {
  *sums = static_cast<double>(
      count_slots<Rule, S>(coefficients, span, begin, end,
                           std::make_index_sequence<Rule<typename S::Compute>::slots.size>{}));
}

template <class Rule, class = void>
constexpr size_t sum_count = 0;
template <class Rule>
constexpr size_t sum_count<Rule, std::void_t<decltype(Rule::sum_count)>> = Rule::sum_count;

template <class Rule, class = void>
constexpr bool sums_over_all = false;
template <class Rule>
constexpr bool sums_over_all<Rule, std::void_t<decltype(Rule::sums_over_all)>> = true;

template <class Rule, class = void>
constexpr bool begins = false;
template <class Rule>
constexpr bool begins<Rule, std::void_t<decltype(&Rule::begin)>> = true;

template <class Rule, class = void>
constexpr bool finishes = false;
template <class Rule>
constexpr bool finishes<Rule, std::void_t<decltype(&Rule::finish)>> = true;

template <class Rule, class = void>
constexpr bool takes_factors = false;
template <class Rule>
constexpr bool takes_factors<Rule, std::void_t<decltype(&Rule::share)>> = true;

template <class T>
void scale_values(const void* of, const void* by, size_t count, void* to) {
  const T* __restrict values = static_cast<const T*>(of);
  T* __restrict scaled = static_cast<T*>(to);
  const T factor = *static_cast<const T*>(by);
  for (size_t i = 0; i < count; ++i) scaled[i] = values[i] * factor;
}

template <class T>
void inverse_roots(const void* of, double over, size_t count, void* to) {
  const T* __restrict values = static_cast<const T*>(of);
  T* __restrict roots = static_cast<T*>(to);
  for (size_t i = 0; i < count; ++i)
    roots[i] = static_cast<T>(1 / sqrt(static_cast<double>(values[i]) / over));
}

template <class Rule, class = void>
constexpr Names<0> scalars_of{};
template <class Rule>
constexpr auto scalars_of<Rule, std::void_t<decltype(Rule::scalars)>> = Rule::scalars;

template <class Rule, class T, class... State>
inline void term_loop(const SharedArithmetic<T> shared, const Rule rule, size_t count,
                      const T* __restrict param, const T* __restrict grad, double* sums,
                      const State* __restrict... slot) {
  // Factors are of gradients that are scaled and nothing else.
  constexpr Extras extras = takes_factors<Rule> ? lean : full;
  constexpr size_t n = sum_count<Rule>;
  double lane[n][norm_lanes] = {};
  const auto add = [&](size_t i, size_t j) {
    double term[n];
    rule.terms(param[i], shared.template gradient<extras>(grad[i], param[i]), slot[i]..., term);
    for (size_t k = 0; k < n; ++k) lane[k][j] += term[k];
  };
  size_t i = 0;
  for (; i + norm_lanes <= count; i += norm_lanes)
    for (size_t j = 0; j < norm_lanes; ++j) add(i + j, j);
  for (size_t j = 0; i + j < count; ++j) add(i + j, j);
  for (size_t k = 0; k < n; ++k) sums[k] = sum_lanes(lane[k]);
}

template <class Rule, class T, size_t... K>
inline void sum_slots(const void* coefficients, const Span& span, size_t begin, size_t end,
                      double* sums, std::index_sequence<K...>) {
  const T* own = static_cast<const T*>(coefficients);
  term_loop(read_shared(own, span), read_rule<Rule>(own + shared_count, span.derived), end - begin,
            static_cast<const T*>(span.param.data) + begin,
            static_cast<const T*>(span.grad.data) + begin, sums,
            (static_cast<const T*>(span.slots[K].data) + begin)...);
}

template <template <class> class Rule, class T>
void sum_terms(const void* coefficients, const Span& span, size_t begin, size_t end, double* sums) {
  sum_slots<Rule<T>, T>(coefficients, span, begin, end, sums,
                        std::make_index_sequence<Rule<T>::slots.size>{});
}

template <class Rule>
inline void write_derived(const Rule& rule, double* derived) {
  double all[sizeof(Rule) / sizeof(double)];
  memcpy(all, &rule, sizeof rule);
  memcpy(derived, all + Rule::coefficients.size, derived_count<Rule> * sizeof(double));
}

template <class Rule>
void begin_derived(const double* own, const double* scalars, double* derived) {
  Rule rule = read_rule<Rule>(own, derived);
  if constexpr (begins<Rule>) rule.begin(scalars);
  write_derived(rule, derived);
}

template <class Rule>
void conclude(const double* own, const double* sums, double size, double* scalars,
              double* derived) {
  Rule rule = read_rule<Rule>(own, derived);
  rule.conclude(sums, size, scalars);
  write_derived(rule, derived);
}

template <class Rule>
void finish(const double* own, const double* scalars, double* derived) {
  Rule rule = read_rule<Rule>(own, derived);
  rule.finish(scalars);
  write_derived(rule, derived);
}

template <class Rule>
void average_of_factors(const double* own, double* share, double* least) {
  const double none[max_derived] = {};
  const Rule rule = read_rule<Rule>(own, none);
  *share = rule.share();
  *least = rule.least_mean();
}

template <template <class> class Rule>
constexpr WholeTensors whole_tensors() {
  using R = Rule<double>;
  if constexpr (derived_count<R> == 0) {
    return {};
  } else {
    static_assert(sum_count<R> <= max_sums && derived_count<R> <= max_derived);
    static_assert(scalars_of<R>.size <= max_scalars);
    WholeTensors whole{};
    whole.sum_count = sum_count<R>;
    whole.scalar_count = scalars_of<R>.size;
    whole.derived_count = derived_count<R>;
    whole.scalars = scalars_of<R>.at;
    whole.derived = R::derived.at;
    whole.of_all = sums_over_all<R>;
    whole.begin = begin_derived<R>;
    whole.conclude = conclude<R>;
    if constexpr (finishes<R>) whole.finish = finish<R>;
    if constexpr (takes_factors<R>) whole.factors = average_of_factors<R>;
    if constexpr (sum_count<R> > 0) {
      whole.sums[float32] = sum_terms<Rule, float>;
      whole.sums[float64] = sum_terms<Rule, double>;
    }
    return whole;
  }
}

}  // namespace
}  // namespace gradstep
