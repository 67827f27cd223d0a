// ndarrays seen as dtype, shape and address, without building Python objects.
#pragma once

#include <pybind11/numpy.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/kernel_table.hpp"

namespace gradstep {

using NumpyApi = pybind11::detail::npy_api;

inline PyObject* float32_descr() {
  static PyObject* descr = NumpyApi::get().PyArray_DescrFromType_(NumpyApi::NPY_FLOAT_);
  return descr;
}

inline PyObject* float64_descr() {
  static PyObject* descr = NumpyApi::get().PyArray_DescrFromType_(NumpyApi::NPY_DOUBLE_);
  return descr;
}

inline PyObject* float16_descr() {
  constexpr int npy_half = 23;
  static PyObject* descr = NumpyApi::get().PyArray_DescrFromType_(npy_half);
  return descr;
}

inline DType dtype_of(const pybind11::array& array) {
  const PyObject* descr = pybind11::detail::array_proxy(array.ptr())->descr;
  const int order = NumpyApi::NPY_ARRAY_C_CONTIGUOUS_ | NumpyApi::NPY_ARRAY_F_CONTIGUOUS_;
  if (!(pybind11::detail::array_proxy(array.ptr())->flags & order))
    throw pybind11::value_error("array must be contiguous");
  if (descr == float32_descr()) return float32;
  if (descr == float64_descr()) return float64;
  throw pybind11::type_error("array must be native-endian float32 or float64");
}

// Whether an array is a view of a PyTorch tensor's memory, as tensor.numpy() gives.
inline bool views_torch(const pybind11::object& array) {
  pybind11::object owner = array;
  while (owner && pybind11::isinstance<pybind11::array>(owner))
    owner = pybind11::reinterpret_borrow<pybind11::array>(owner).base();
  if (!owner) return false;
  const auto module = pybind11::str(pybind11::type::of(owner).attr("__module__"));
  return std::string(module).rfind("torch", 0) == 0;
}

inline PyObject* descr_of(DType dtype) {
  return dtype == float32 ? float32_descr() : float64_descr();
}

// What an array looked like when it was handed over. A table holds its arrays' addresses, so it
// must notice when one has been changed behind its back.
class ArrayView {
 public:
  // An array whose elements are computed with in `dtype`.
  ArrayView(const pybind11::array& array, DType dtype)
      : array_(array),
        dtype_(dtype),
        shape_(array.shape(), array.shape() + array.ndim()),
        size_(array.size()),
        data_(proxy()->data),
        descr_(proxy()->descr),
        compute_(descr_of(dtype)),
        gradient_bytes_(size() * (dtype == float32 ? 4 : 8)) {
    if (!array.writeable()) throw pybind11::value_error("array must be writeable");
    // Of a one-dimensional array both orders hold, and a gradient may come in either.
    order_ = proxy()->flags & order_flags;
    if (!order_) throw pybind11::value_error("array must be contiguous");
  }

  bool unchanged() const {
    constexpr int writeable = NumpyApi::NPY_ARRAY_WRITEABLE_;
    return proxy()->data == data_ && proxy()->descr == descr_ &&
           (proxy()->flags & (order_flags | writeable)) == (order_ | writeable);
  }

  bool in_place() const { return proxy()->data == data_; }
  bool in_shape() const { return same_shape(proxy()); }

  // Whether all are laid out as they were, where they lie aside.
  static bool in_shape(const ArrayView* begin, const ArrayView* end) {
    for (; begin < end; ++begin) {
      const auto* own = begin->proxy();
      const std::vector<Py_intptr_t>& shape = begin->shape_;
      if (own->descr != begin->descr_ || (own->flags & order_flags) != begin->order_ ||
          static_cast<size_t>(own->nd) != shape.size() ||
          !std::equal(shape.begin(), shape.end(), own->dimensions))
        return false;
    }
    return true;
  }

  // Whether an array can be read in place beside this one: of the compute type, of the same shape
  // and memory order. This one may have been reshaped or resized since it was handed over.
  bool matches(const pybind11::detail::PyArray_Proxy* other) const {
    return other->descr == compute_ && (other->flags & order_) &&
           (other->flags & NumpyApi::NPY_ARRAY_ALIGNED_) && same_shape(other);
  }

  // Whether an array has the shape that this one has, and had when it was handed over.
  bool same_shape(const pybind11::detail::PyArray_Proxy* other) const {
    const auto* own = proxy();
    const int axes = static_cast<int>(shape_.size());
    if (other->nd != axes || own->nd != axes) return false;
    for (int axis = 0; axis < axes; ++axis)
      if (other->dimensions[axis] != shape_[axis] || own->dimensions[axis] != shape_[axis])
        return false;
    return true;
  }

  // Whether the elements of an array of this shape follow one another as those of this one.
  bool in_this_order(const pybind11::detail::PyArray_Proxy* other) const {
    return other->flags & order_;
  }

  DType dtype() const { return dtype_; }
  void* data() const { return data_; }
  const std::vector<Py_intptr_t>& shape() const { return shape_; }
  size_t size() const { return static_cast<size_t>(size_); }
  bool c_contiguous() const { return order_ & NumpyApi::NPY_ARRAY_C_CONTIGUOUS_; }
  size_t bytes() const { return static_cast<size_t>(array_.nbytes()); }
  // Of a gradient that matches.
  size_t gradient_bytes() const { return gradient_bytes_; }

 private:
  static constexpr int order_flags =
      NumpyApi::NPY_ARRAY_C_CONTIGUOUS_ | NumpyApi::NPY_ARRAY_F_CONTIGUOUS_;

  const pybind11::detail::PyArray_Proxy* proxy() const {
    return pybind11::detail::array_proxy(array_.ptr());
  }

  pybind11::array array_;
  DType dtype_;
  std::vector<Py_intptr_t> shape_;
  Py_intptr_t size_;
  char* data_;
  PyObject *descr_, *compute_;
  size_t gradient_bytes_;
  int order_;
};

// An array that goes element by element with a parameter. It is a view of memory that cannot be
// resized (see python/gradstep/arrays/memory.py), so there is less to notice.
class Beside {
 public:
  explicit Beside(const pybind11::array& array) : array_(array), data_(proxy()->data) {}

  // Whether all are what they were, and writeable. Without branches but for the end: a step looks
  // at them all.
  static bool unchanged(const Beside* begin, const Beside* end) {
    int flags = NumpyApi::NPY_ARRAY_WRITEABLE_;
    std::uintptr_t moved = 0;
    for (const Beside* each = begin; each < end; ++each) {
      flags &= each->flags();
      moved |= each->moved();
    }
    return flags && !moved;
  }

 private:
  int flags() const { return proxy()->flags & NumpyApi::NPY_ARRAY_WRITEABLE_; }

  std::uintptr_t moved() const {
    return reinterpret_cast<std::uintptr_t>(proxy()->data) ^
           reinterpret_cast<std::uintptr_t>(data_);
  }

  const pybind11::detail::PyArray_Proxy* proxy() const {
    return pybind11::detail::array_proxy(array_.ptr());
  }

  pybind11::array array_;
  const char* data_;
};

}  // namespace gradstep
