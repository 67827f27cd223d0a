// The memory an optimizer owns, as sorted address ranges: does a gradient lie within it?
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace gradstep {

class Intervals {
 public:
  using Address = std::uintptr_t;

  // Sentinels at both ends, so that every range outside lies in a gap between two intervals.
  Intervals() : ranges_{{0, 0}, {highest, highest}} {}

  void add(const void* begin, std::size_t bytes) {
    if (bytes > 0) ranges_.push_back({address(begin), address(begin) + bytes});
  }

  void sort() { std::sort(ranges_.begin(), ranges_.end()); }

  // `gap` remembers where this question was answered last: a training loop's gradients mostly come
  // back to the same addresses, and then two comparisons are enough.
  [[gnu::always_inline]] bool overlaps(const void* data, std::size_t bytes,
                                       std::uint32_t& gap) const {
    if (bytes == 0) return false;
    const Address begin = address(data), end = begin + bytes;
    return !in_gap(gap, begin, end) && overlaps_elsewhere(begin, end, gap);
  }

 private:
  static constexpr Address highest = std::numeric_limits<Address>::max();

  struct Range {
    Address begin, end;
    bool operator<(const Range& other) const {
      return begin != other.begin ? begin < other.begin : end < other.end;
    }
  };

  bool overlaps_elsewhere(Address begin, Address end, std::uint32_t& gap) const {
    gap = gap_after(begin);
    return !in_gap(gap, begin, end);
  }

  static Address address(const void* pointer) { return reinterpret_cast<Address>(pointer); }

  // The last range that begins at or below an address, but for the upper sentinel. Searched without
  // branches: addresses of new arrays come in no order that could be predicted.
  std::uint32_t gap_after(Address begin) const {
    std::size_t first = 0;
    for (std::size_t left = ranges_.size() - 1; left > 1;) {
      const std::size_t half = left / 2;
      first = ranges_[first + half].begin <= begin ? first + half : first;
      left -= half;
    }
    return static_cast<std::uint32_t>(first);
  }

  bool in_gap(std::uint32_t gap, Address begin, Address end) const {
    return ranges_[gap].end <= begin && end <= ranges_[gap + 1].begin;
  }

  std::vector<Range> ranges_;
};

}  // namespace gradstep
