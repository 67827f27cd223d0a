// The loops over elements. A rule is inlined between the arithmetic that all rules share:
//   g ← grad_scale·g,  clip by value,  g ← g + l2·p,  p ← decay·p,  rule,  proximal L1,  average.
#pragma once

#include <stddef.h>
#include <string.h>

#include <type_traits>
#include <utility>

#include "engine/fetch.hpp"
#include "engine/independent.hpp"
#include "engine/kernel_table.hpp"
#include "rules/math.hpp"

namespace gradstep {
namespace {

// In the place of how far Weyl's sequence has gone since the first element of a loop.
struct NotDithered {
  void operator+=(uint32_t) {}
};

// How the arrays that a loop reads and writes are stored, and in which type its arithmetic is done.
// Other formats come through the stage: docs/decisions/0018-formats-and-the-stage.md.
template <class Real>
struct Plain {
  using Compute = Real;
  using ParamAt = Real*;
  using Grad = Real;
  using State = Real;
  using Average = Real;
  using Spread = NotDithered;
};

template <class Compute>
inline Compute load(const Compute* from) {
  return *from;
}

template <class Compute>
inline void store(Compute* to, Compute value) {
  *to = value;
}

// Where the elements of a parameter lie: a pointer, or what is made of a span and goes like one.
template <class At>
inline At param_at(const Span& span) {
  if constexpr (std::is_pointer_v<At>)
    return static_cast<At>(span.param.data);
  else
    return At(span);
}

// The same of a slot's elements, and how they are written.
template <class State>
inline State* slot_at(State* slot, const DrawKey&) {
  return slot;
}

template <class Compute, class Slot>
inline void store_state(const Slot& slot, Compute value, NotDithered) {
  store<Compute>(slot, value);
}

template <class T>
struct SharedArithmetic {
  T grad_scale, clip_value, l2, decay, l1, average_keep, average_take;

  template <Extras extras>
  T gradient(T g, T p) const {
    g = grad_scale * g;
    if constexpr (extras != lean) {
      g = g < -clip_value ? -clip_value : g;
      g = g > clip_value ? clip_value : g;
      g = g + l2 * p;
    }
    return g;
  }

  template <Extras extras>
  T regularised(T p) const {
    if constexpr (extras != lean) p = soft_threshold(p, l1);
    return p;
  }

  T averaged(T average, T p) const { return average_keep * average + average_take * p; }
};

// A struct of T only, filled from consecutive coefficients.
template <class Struct, class T>
inline Struct read_coefficients(const T* from) {
  Struct to;
  memcpy(&to, from, sizeof to);
  return to;
}

// The coefficients of a rule that are derived from sums; they stand behind the others.
template <class Rule, class = void>
constexpr size_t derived_count = 0;
template <class Rule>
constexpr size_t derived_count<Rule, std::void_t<decltype(Rule::derived)>> = Rule::derived.size;

template <class Rule, class T>
inline Rule read_rule(const T* own, const double* derived) {
  constexpr size_t given = Rule::coefficients.size;
  static_assert(sizeof(Rule) == (given + derived_count<Rule>)*sizeof(T),
                "a rule has one member per coefficient name");
  if constexpr (derived_count<Rule> == 0) {
    return read_coefficients<Rule>(own);
  } else {
    T all[given + derived_count<Rule>];
    memcpy(all, own, given * sizeof(T));
    for (size_t k = 0; k < derived_count<Rule>; ++k) all[given + k] = static_cast<T>(derived[k]);
    return read_coefficients<Rule>(all);
  }
}

template <class T>
inline SharedArithmetic<T> read_shared(const T* from, const Span& span) {
  auto shared = read_coefficients<SharedArithmetic<T>>(from);
  shared.grad_scale = shared.grad_scale * static_cast<T>(span.limit);
  return shared;
}

// Whether a rule gives the step that is subtracted from the parameter, or sets it itself.
template <class Rule, class = void>
constexpr bool gives_step = false;
template <class Rule>
constexpr bool gives_step<Rule, std::void_t<decltype(&Rule::step)>> = true;

// Whether a rule comes in two halves: `root` brings the state up to date and takes a root,
// `step` reads the state and divides.
template <class Rule, class = void>
constexpr bool in_halves = false;
template <class Rule>
constexpr bool in_halves<Rule, std::void_t<decltype(&Rule::root)>> = true;

template <class Rule, class T, class... State>
inline T step_of(const Rule& rule, T g, State&... state) {
  if constexpr (in_halves<Rule>) {
    const T root = rule.root(g, state...);
    return rule.step(root, g, std::as_const(state)...);
  } else {
    return rule.step(g, state...);
  }
}

// Whether the step points the gradient's way, so that the parameter moves against the gradient.
template <class T>
inline bool agree(T step, T g) {
  return ((step > T(0)) & (g > T(0))) | ((step < T(0)) & (g < T(0)));
}

// `root` is null, or what root_loop has made of these elements.
template <Extras extras, bool cautious, class S, class Rule, class Roots, class... Slot>
inline void element_loop(const SharedArithmetic<typename S::Compute> shared, const Rule rule,
                         typename S::Compute cautious_scale, size_t count, const Roots root,
                         const typename S::ParamAt param, const typename S::Grad* __restrict grad,
                         typename S::Average* __restrict average, const Slot... slot) {
  using T = typename S::Compute;
  constexpr bool halfway = !std::is_null_pointer_v<Roots>;
  typename S::Spread spread{};
  GRADSTEP_INDEPENDENT
  for (size_t i = 0; i < count; ++i, spread += weyl) {
    T p = load<T>(param + i);
    const T g = shared.template gradient<extras>(load<T>(grad + i), p);
    p = shared.decay * p;
    [&](auto... state) {
      if constexpr (gives_step<Rule>) {
        T step;
        if constexpr (halfway)
          step = rule.step(root[i], g, std::as_const(state)...);
        else
          step = step_of(rule, g, state...);
        if constexpr (cautious) step = agree(step, g) ? cautious_scale * step : T(0);
        p = p - step;
      } else {
        rule(p, g, state...);
      }
      if constexpr (!halfway) (store_state<T>(slot + i, state, spread), ...);
    }(load<T>(slot + i)...);
    p = shared.template regularised<extras>(p);
    if constexpr (extras == averaging)
      store<T>(average + i, shared.averaged(load<T>(average + i), p));
    store<T>(param + i, p);
  }
}

template <Extras extras, class S, class Rule, class... State>
inline void root_loop(const SharedArithmetic<typename S::Compute> shared, const Rule rule,
                      size_t count, typename S::Compute* __restrict root,
                      const typename S::ParamAt param, const typename S::Grad* __restrict grad,
                      State* __restrict... slot) {
  using T = typename S::Compute;
  GRADSTEP_INDEPENDENT
  for (size_t i = 0; i < count; ++i) {
    const T g = shared.template gradient<extras>(load<T>(grad + i), load<T>(param + i));
    [&](auto... state) {
      root[i] = rule.root(g, state...);
      (store<T>(slot + i, state), ...);
    }(load<T>(slot + i)...);
  }
}

// An element's root and quotient wait for one another, and an out-of-order CPU goes on with others
// meanwhile. With narrow vectors it does not look ahead far enough to keep its divider busy. Whole
// blocks then take two loops, roots first and quotients second: docs/decisions/0014-two-loops.md.
// Between them state is stored and read again, so it must be stored in the type of the arithmetic.
constexpr size_t block = 256;
#ifdef __AVX512F__
constexpr bool narrow_vectors = false;
#else
constexpr bool narrow_vectors = true;
#endif
template <class Rule, class S>
constexpr bool takes_blocks =
    narrow_vectors && in_halves<Rule> && std::is_same_v<typename S::State, typename S::Compute>;

// What elements are updated in: all at once, blocks of two loops, or parts that memory is asked
// for.
enum class Parts { all, halved, fetched };

template <template <class> class Rule, class S, Extras extras, bool cautious, Parts parts,
          size_t... K>
inline void update_slots(const void* coefficients, const Span& span, size_t begin, size_t end,
                         std::index_sequence<K...>) {
  using T = typename S::Compute;
  static_assert(sizeof(SharedArithmetic<T>) == shared_count * sizeof(T));
  static_assert(shared_count + Rule<T>::coefficients.size <= max_coefficients);
  static_assert(sizeof...(K) <= max_slots);
  const T* own = static_cast<const T*>(coefficients);
  const auto shared = read_shared(own, span);
  const auto rule = read_rule<Rule<T>>(own + shared_count, span.derived);
  const auto param = param_at<typename S::ParamAt>(span);
  const auto grad = static_cast<const typename S::Grad*>(span.grad.data);
  const auto update_elements = [&](size_t i, size_t count, auto root) {
    element_loop<extras, cautious, S>(
        shared, rule, static_cast<T>(span.cautious_scale), count, root, param + i, grad + i,
        extras == averaging ? static_cast<typename S::Average*>(span.average.data) + i : nullptr,
        slot_at(static_cast<typename S::State*>(span.slots[K].data) + i,
                span.draws.of_array(slot_draws + K).from(i))...);
  };
  if constexpr (parts == Parts::halved) {
    for (; end - begin >= block; begin += block) {
      T root[block];
      root_loop<extras, S>(shared, rule, block, root, param + begin, grad + begin,
                           (static_cast<typename S::State*>(span.slots[K].data) + begin)...);
      update_elements(begin, block, root);
    }
  }
  if constexpr (parts == Parts::fetched) {
    for (; end - begin > fetch_block; begin += fetch_block) {
      fetch(span, begin);
      update_elements(begin, fetch_block, nullptr);
    }
  }
  update_elements(begin, end - begin, nullptr);
}

template <template <class> class Rule, class S, Extras extras, bool cautious>
void update(const void* coefficients, const Span& span, size_t begin, size_t end) {
  update_slots<Rule, S, extras, cautious, Parts::all>(
      coefficients, span, begin, end,
      std::make_index_sequence<Rule<typename S::Compute>::slots.size>{});
}

template <template <class> class Rule, class S, Extras extras, bool cautious>
void update_in_blocks(const void* coefficients, const Span& span, size_t begin, size_t end) {
  update_slots<Rule, S, extras, cautious, Parts::halved>(
      coefficients, span, begin, end,
      std::make_index_sequence<Rule<typename S::Compute>::slots.size>{});
}

}  // namespace
}  // namespace gradstep
