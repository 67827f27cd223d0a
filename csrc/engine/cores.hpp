// How many cores are there for this process?
#pragma once

namespace gradstep {

// Physical cores among the CPUs that the process may run on, or fewer where a quota of CPU time
// (cgroups) or OMP_NUM_THREADS says so; at least 1. Looked up anew at each call.
int usable_cores();

}  // namespace gradstep
