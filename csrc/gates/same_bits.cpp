// Prints, for every update of one kernel table, a hash of what five steps make of random numbers,
// and for every load one of all that 16 bits can hold.
// Tables of different instruction sets print the same: `.ci/run --full` compares x86-64 with an
// emulated arm64, which the tests cannot reach.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <random>
#include <vector>

#include "engine/kernel_table.hpp"

namespace gradstep {

extern const KernelTable GRADSTEP_KERNELS;

namespace {

constexpr size_t elements = 1003, steps = 5;

// FNV-1a over the values' bits, every NaN as one and the same.
class Hash {
 public:
  template <class T>
  void add(T value) {
    if (isnan(value)) value = T(-12345);
    const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
    for (size_t i = 0; i < sizeof value; ++i) hash_ = (hash_ ^ bytes[i]) * 1099511628211u;
  }
  unsigned long long value() const { return hash_; }

 private:
  uint64_t hash_ = 14695981039346656037u;
};

template <class T>
std::vector<T> random(std::mt19937& bits, size_t count, double low, double high) {
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(low + (high - low) * bits() / 4294967296.0);
  return values;
}

template <class T>
void print(const RuleInfo& rule, UpdateFn update, Extras extras, const char* kind) {
  if (!update) return;
  std::mt19937 bits(7);
  std::vector<T> coefficients(shared_count);
  coefficients[grad_scale] = T(0.5);
  coefficients[clip_value] = extras == lean ? T(INFINITY) : T(0.2);
  coefficients[decay] = T(0.99);
  if (extras != lean) coefficients[l2] = coefficients[l1] = T(0.01);
  coefficients[average_keep] = T(0.9);
  coefficients[average_take] = T(0.1);
  for (const T own : random<T>(bits, rule.coefficient_count, 0.05, 0.95))
    coefficients.push_back(own);

  std::vector<T> param = random<T>(bits, elements, -1, 1), grad = random<T>(bits, elements, -1, 1);
  std::vector<std::vector<T>> slots(rule.slot_count);
  Span span{};
  for (size_t k = 0; k < rule.slot_count; ++k) {
    slots[k] = random<T>(bits, elements, 0, 1);
    span.slots[k].data = slots[k].data();
  }
  std::vector<T> average = param;
  const std::vector<double> derived = random<double>(bits, max_derived, 0.05, 0.95);
  span.derived = derived.data();
  span.param.data = param.data();
  span.grad.data = grad.data();
  span.average.data = average.data();
  span.size = elements;
  span.limit = 0.7;
  span.cautious_scale = 1.25;
  for (size_t t = 0; t < steps; ++t) update(coefficients.data(), span, t, elements);

  Hash hash;
  slots.push_back(param);
  slots.push_back(average);
  for (const std::vector<T>& array : slots)
    for (const T value : array) hash.add(value);
  printf("%s %s float%zu extras %d: %016llx\n", rule.name, kind, 8 * sizeof(T), extras,
         hash.value());
}

// What a rule takes of a whole tensor: its sums, and what it concludes from them.
template <class T>
void print_whole(const RuleInfo& rule, DType dtype) {
  const WholeTensors& whole = rule.whole;
  if (!whole.derived_count) return;
  std::mt19937 bits(13);
  std::vector<double> own = random<double>(bits, rule.coefficient_count, 0.05, 0.95);
  std::vector<double> scalars = random<double>(bits, max_scalars, 0.05, 0.95);
  double derived[max_derived] = {}, sums[max_sums] = {};
  whole.begin(own.data(), scalars.data(), derived);
  std::vector<T> coefficients(shared_count);
  coefficients[grad_scale] = coefficients[clip_value] = coefficients[decay] = T(1);
  coefficients.insert(coefficients.end(), own.begin(), own.end());
  std::vector<std::vector<T>> arrays(rule.slot_count + 2);
  for (std::vector<T>& array : arrays) array = random<T>(bits, norm_block - 5, 0.1, 1);
  Span span{};
  span.param.data = arrays[rule.slot_count].data();
  span.grad.data = arrays[rule.slot_count + 1].data();
  for (size_t k = 0; k < rule.slot_count; ++k) span.slots[k].data = arrays[k].data();
  span.derived = derived;
  if (whole.sums[dtype]) whole.sums[dtype](coefficients.data(), span, 0, norm_block - 5, sums);
  whole.conclude(own.data(), sums, double{norm_block - 5}, scalars.data(), derived);
  if (whole.finish) whole.finish(own.data(), scalars.data(), derived);
  Hash hash;
  for (const double value : sums) hash.add(value);
  for (const double value : scalars) hash.add(value);
  for (const double value : derived) hash.add(value);
  printf("%s whole float%zu: %016llx\n", rule.name, 8 * sizeof(T), hash.value());
}

// Of elements next to each other and apart, and of a square turned about.
template <class T>
void print_loads(size_t format, DType dtype) {
  constexpr size_t side = 256, count = side * side, item[gradient_formats] = {4, 8, 2, 2};
  std::vector<uint16_t> words(2 * count * 4);
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint16_t>(i * 40503u);
  std::vector<T> to(count);
  Hash hash;
  const auto stride = static_cast<ptrdiff_t>(item[format]);
  for (const ptrdiff_t apart : {stride, 2 * stride}) {
    GRADSTEP_KERNELS.load[format][dtype](words.data(), apart, count, to.data());
    for (const T value : to) hash.add(value);
  }
  GRADSTEP_KERNELS.load_turned[format][dtype](words.data(), side * stride, stride, side, side,
                                              to.data(), side);
  for (const T value : to) hash.add(value);
  printf("load format %zu to float%zu: %016llx\n", format, 8 * sizeof(T), hash.value());
}

// Of numbers of all exponents, of infinities and NaNs: what is stored, and what is read of it.
void print_packing(size_t format) {
  const Packing& packing = GRADSTEP_KERNELS.packing[format];
  if (!packing.pack) return;
  constexpr size_t count = 1 << 16;
  std::mt19937 bits(11);
  std::vector<uint32_t> values(count), read(count);
  for (uint32_t& value : values) value = static_cast<uint32_t>(bits());
  std::vector<uint16_t> stored(count), beside(count);
  const Array array{stored.data(), beside.data(), static_cast<Format>(format)};
  packing.pack(array, 0, count, {1, 2, 3, 5}, values.data());
  packing.unpack(array, 0, count, read.data());
  Hash hash;
  for (size_t i = 0; i < count; ++i) {
    hash.add(stored[i]);
    hash.add(beside[i]);
    float value;
    memcpy(&value, &read[i], sizeof value);
    hash.add(value);
  }
  printf("packing %zu: %016llx\n", format, hash.value());
}

void print_rule(const RuleInfo& rule) {
  for (const Extras extras : {lean, full, averaging}) {
    print<float>(rule, rule.update[float32][extras], extras, "plain");
    print<double>(rule, rule.update[float64][extras], extras, "plain");
    print<float>(rule, rule.cautious_update[float32][extras], extras, "cautious");
    print<double>(rule, rule.cautious_update[float64][extras], extras, "cautious");
  }
  print_whole<float>(rule, float32);
  print_whole<double>(rule, float64);
  if (rule.of_factors) print_rule(*rule.of_factors);
}

// Sums of rows and columns, and inverse roots of a row.
template <class T>
void print_factors(DType dtype) {
  constexpr size_t rows = 3, columns = norm_block - 5;
  std::mt19937 bits(17);
  const std::vector<T> values = random<T>(bits, rows * columns, 0.1, 1);
  std::vector<double> sums(rows + columns);
  GRADSTEP_KERNELS.sum_tile[dtype](values.data(), rows, columns, columns, &sums[0], &sums[columns]);
  std::vector<T> roots(columns);
  GRADSTEP_KERNELS.inverse_roots[dtype](values.data(), 0.3, columns, roots.data());
  Hash hash;
  for (const double value : sums) hash.add(value);
  for (const T value : roots) hash.add(value);
  printf("factors float%zu: %016llx\n", 8 * sizeof(T), hash.value());
}

}  // namespace
}  // namespace gradstep

int main() {
  using namespace gradstep;
  for (size_t format = 0; format < gradient_formats; ++format) {
    print_loads<float>(format, float32);
    print_loads<double>(format, float64);
  }
  for (size_t format = 0; format < format_count; ++format) print_packing(format);
  print_factors<float>(float32);
  print_factors<double>(float64);
  for (size_t r = 0; r < GRADSTEP_KERNELS.rule_count; ++r) print_rule(GRADSTEP_KERNELS.rules[r]);
}
