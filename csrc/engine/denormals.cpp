#include "engine/denormals.hpp"

#include <atomic>

namespace gradstep {
namespace {

std::atomic<bool> flushes_denormals{false};

}  // namespace

bool set_flush_denormals(bool on) { return flushes_denormals.exchange(on); }
bool flush_denormals() { return flushes_denormals; }

}  // namespace gradstep
