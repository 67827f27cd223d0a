#include "engine/cores.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <thread>

#include "engine/pool.hpp"

#ifdef __linux__
#include <sched.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>
#endif
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

namespace gradstep {
namespace {

constexpr int unlimited = std::numeric_limits<int>::max();

#ifdef __linux__

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  for (int most = CPU_SETSIZE; most <= 1 << 20; most *= 2) {
    cpu_set_t* set = CPU_ALLOC(most);
    const bool known = sched_getaffinity(0, CPU_ALLOC_SIZE(most), set) == 0;
    for (int cpu = 0; known && cpu < most; ++cpu)
      if (CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(most), set)) cpus.push_back(cpu);
    CPU_FREE(set);
    if (known) break;
  }
  return cpus;
}

// Those that are threads of one core have the same list of siblings.
int physical_cores() {
  std::set<std::string> cores;
  for (const int cpu : allowed_cpus()) {
    const std::string topology = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::string siblings = first_line(topology + "thread_siblings_list");
    cores.insert(siblings.empty() ? "cpu " + std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

// "max 100000" or "150000 100000": microseconds of CPU time per period.
int whole_cpus(const std::string& quota, const std::string& period) {
  const double used = std::atof(quota.c_str()), of = std::atof(period.c_str());
  return used > 0 && of > 0 ? std::max(1, static_cast<int>(used / of)) : unlimited;
}

// The least quota of the control groups that the process is in, from its own up to the root.
int cpu_quota() {
  int least = unlimited;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // 0::/path, or 4:cpu,cpuacct:/path
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find(",cpu,") == std::string::npos) continue;
    for (std::string path = line.substr(second + 1);; path.erase(path.rfind('/'))) {
      const std::string folder = (unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu") + path + "/";
      std::istringstream max(first_line(folder + "cpu.max"));
      std::string quota, period;
      if (!(max >> quota >> period)) {
        quota = first_line(folder + "cpu.cfs_quota_us");
        period = first_line(folder + "cpu.cfs_period_us");
      }
      least = std::min(least, whole_cpus(quota, period));
      if (path.find('/') == std::string::npos) break;
    }
  }
  return least;
}

#elif defined(__APPLE__)

int physical_cores() {
  int cores = 0;
  std::size_t size = sizeof cores;
  return sysctlbyname("hw.physicalcpu", &cores, &size, nullptr, 0) == 0 ? cores : 0;
}

int cpu_quota() { return unlimited; }

#else

int physical_cores() { return static_cast<int>(std::thread::hardware_concurrency()); }
int cpu_quota() { return unlimited; }

#endif

// OpenMP's variable, which people set for all their libraries: "4", or "4,2" for nested regions.
int wanted_by_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const long wanted = text ? std::strtol(text, nullptr, 10) : 0;
  return wanted > 0 ? static_cast<int>(std::min<long>(wanted, Pool::most_threads)) : 0;
}

}  // namespace

int usable_cores() {
  if (const int wanted = wanted_by_environment()) return wanted;
  int cores = physical_cores();
  if (cores < 1) cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, std::min(cores, cpu_quota()));
}

}  // namespace gradstep
