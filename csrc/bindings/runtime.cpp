// Queries and settings: instruction sets, threads, the build, the rules.
#include <pybind11/stl.h>

#include "bindings/arrays.hpp"
#include "bindings/bindings.hpp"
#include "bindings/gil.hpp"
#include "bindings/ran_on.hpp"
#include "engine/denormals.hpp"
#include "engine/dispatch.hpp"
#include "engine/openmp.hpp"
#include "engine/parallel.hpp"
#include "engine/param_table.hpp"

namespace py = pybind11;

namespace gradstep {
namespace {

py::tuple name_tuple(const char* const* names, size_t count) {
  py::tuple tuple(count);
  for (size_t i = 0; i < count; ++i) tuple[i] = py::str(names[i]);
  return tuple;
}

// {rule: (coefficient names, slot names, whether it has momentum)}
py::dict rules() {
  const KernelTable& kernels = active_kernels();
  py::dict all;
  for (size_t r = 0; r < kernels.rule_count; ++r) {
    const RuleInfo& rule = kernels.rules[r];
    all[rule.name] =
        py::make_tuple(name_tuple(rule.coefficients, rule.coefficient_count),
                       name_tuple(rule.slots, rule.slot_count), rule.agreeing[float32] != nullptr,
                       name_tuple(rule.whole.scalars, rule.whole.scalar_count),
                       name_tuple(rule.whole.derived, rule.whole.derived_count));
  }
  return all;
}

py::dict build_info() {
  py::dict info;
  info["compiler"] = GRADSTEP_COMPILER;
  info["flags"] = GRADSTEP_FLAGS;
  return info;
}

void stream_arrays(const py::array& read, const std::vector<py::array>& written,
                   const std::string& rule) {
  const DType dtype = dtype_of(read);
  void* addresses[max_slots + 1];
  if (written.empty() || written.size() > max_slots + 1)
    throw py::value_error("written must hold 1 to 9 arrays");
  for (size_t i = 0; i < written.size(); ++i) {
    if (written[i].size() != read.size() || !written[i].writeable() ||
        dtype_of(written[i]) != dtype)
      throw py::value_error("written arrays must be writeable and of read's size and dtype");
    addresses[i] = py::detail::array_proxy(written[i].ptr())->data;
  }
  const std::uint32_t cost = element_cost(active_kernels().rules[rule_named(rule)], dtype);
  const GilReleased released;
  stream(dtype, py::detail::array_proxy(read.ptr())->data, addresses, written.size(),
         static_cast<size_t>(read.size()), cost);
}

// Arrays of one size and dtype, for the loops that bound an update.
void* beside(const py::array& first, const py::array& other) {
  if (other.size() != first.size() || dtype_of(other) != dtype_of(first))
    throw py::value_error("arrays must be of one size and dtype");
  return py::detail::array_proxy(other.ptr())->data;
}

void divide_arrays(size_t roots, size_t quotients, const py::array& of, const py::array& by,
                   py::array& to) {
  if (roots > most_roots || quotients > most_quotients)
    throw py::value_error("roots must be at most 2, quotients at most 3");
  if (!to.writeable()) throw py::value_error("to must be writeable");
  active_kernels().divide[dtype_of(of)][roots][quotients](beside(of, of), beside(of, by),
                                                          beside(of, to), of.size());
}

}  // namespace

void register_runtime(py::module_& module) {
  module.def("available_isas", &available_isas);
  module.def("isa", [] { return active_kernels().isa; });
  module.def("set_isa", &set_isa, py::arg("name"));
  module.def("num_threads", &num_threads);
  module.def("set_num_threads", &set_num_threads, py::arg("count"));
  module.def("pool", [] { return static_cast<int>(pool_for_all()); });
  module.def(
      "set_pool",
      [](int kind) { return static_cast<int>(set_pool_for_all(static_cast<PoolKind>(kind))); },
      py::arg("kind"), "Numbers of the names in runtime.POOLS.");
  module.def("loaded_openmp", &loaded_openmp, "The OpenMP library that the process has loaded.");
  module.def("parked_workers", &parked_workers, "How many threads of our own there are.");
  module.def("flush_denormals", &flush_denormals);
  module.def("set_flush_denormals", &set_flush_denormals, py::arg("on"));
  module.def("rules", &rules,
             "{rule: (coefficient names, state slot names, whether it has momentum, names of "
             "scalars in the state, names of derived coefficients)}");
  module.def("build_info", &build_info);
  module.def("stream", &stream_arrays, py::arg("read"), py::arg("written"), py::arg("rule"),
             "Add one contiguous array to others: the roofline that steps are measured against. As "
             "many threads as steps of this rule.");
  module.def(
      "divide", &divide_arrays, py::arg("roots"), py::arg("quotients"), py::arg("of"),
      py::arg("by"), py::arg("to"),
      "So many roots and quotients per element, on one thread: what bounds a step in cache.");
  module.def("least_work", [] {
    const LeastWork least = least_work();
    return std::make_tuple(least.awake, least.asleep, least.anyway);
  });
  module.def(
      "set_least_work",
      [](size_t awake, size_t asleep, size_t anyway) { set_least_work({awake, asleep, anyway}); },
      py::arg("awake"), py::arg("asleep"), py::arg("anyway"),
      "For measuring the defaults: the least work for each thread that is awake, or has to be "
      "woken, > 0.");
  module.def(
      "last_step",
      [] {
        return std::make_tuple(last_ran_on.isa, static_cast<int>(last_ran_on.pool),
                               last_ran_on.threads);
      },
      "The instruction set, the pool and the number of threads of this thread's last step.");
  module.attr("norm_block") = norm_block;
}

}  // namespace gradstep
