// Tensors of other packages as ndarrays on the same memory, without Python's reader.
//
// By DLPack's C exchange API (https://github.com/dmlc/dlpack, version 1.3), as PyTorch's: their
// type says where a table of functions lies, which fill in a description of a tensor without making
// Python objects or running Python code. Or by their buffer, as JAX's, whose `__dlpack__` takes six
// times as long.
#pragma once

#include <pybind11/numpy.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "bindings/gradients.hpp"

namespace gradstep {

namespace dlpack {

struct Tensor {
  void* data;
  std::int32_t device_type, device_id;
  std::int32_t ndim;
  std::uint8_t code, bits;
  std::uint16_t lanes;
  const std::int64_t* shape;
  const std::int64_t* strides;  // in elements; null: in C's order
  std::uint64_t byte_offset;
};

// A tensor that is kept from going away. What follows is not read here.
struct Managed {
  std::uint32_t major, minor;
  void* context;
  void (*release)(Managed* self);
};

struct ExchangeApi {
  std::uint32_t major, minor;
  const ExchangeApi* older;
  void* allocate;
  int (*managed_from_object)(void* object, Managed** out);
  void* managed_to_object;
  int (*tensor_from_object)(void* object, Tensor* out);  // may be null
  void* current_work_stream;
};

constexpr std::int32_t cpu = 1;
constexpr std::uint8_t floating = 2, bfloat = 4;
constexpr int most_axes = 32;

inline std::optional<Format> format_of(const Tensor& tensor) {
  if (tensor.lanes != 1) return std::nullopt;
  if (tensor.code == bfloat && tensor.bits == 16) return Format::bfloat16;
  if (tensor.code != floating) return std::nullopt;
  if (tensor.bits == 32) return Format::float32;
  if (tensor.bits == 64) return Format::float64;
  return tensor.bits == 16 ? std::optional(Format::float16) : std::nullopt;
}

inline char* first_byte(const Tensor& tensor) {
  return static_cast<char*>(tensor.data) + tensor.byte_offset;
}

// PyTorch's imaginary part of a conjugate is the other's memory, and a flag that DLPack has no
// word for. Its elements have real parts between them.
inline bool may_be_negated(const Tensor& tensor) {
  for (int axis = 0; axis < tensor.ndim; ++axis)
    if (tensor.shape[axis] != 1 && (!tensor.strides || tensor.strides[axis] == 1)) return false;
  return true;
}

// The table of functions that a type offers; null where it has none that is known here.
inline const ExchangeApi* exchange_api(const pybind11::handle type) {
  const char* const name = "__dlpack_c_exchange_api__";
  // A subclass may have changed what its tensors mean.
  if (!type.attr("__dict__").contains(name)) return nullptr;
  const pybind11::object capsule = type.attr(name);
  void* table = PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api");
  if (!table) PyErr_Clear();
  const auto* api = static_cast<const ExchangeApi*>(table);
  while (api && api->major != 1) api = api->older;
  return api && api->tensor_from_object ? api : nullptr;
}

}  // namespace dlpack

// Goes on without what has failed, but not over an interrupt.
inline void forget_error() {
  if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception))
    throw pybind11::error_already_set();
  PyErr_Clear();
}

// What offers DLPack, by its buffer; null where it has none that NumPy can read.
inline pybind11::object buffer_view(PyObject* object) {
  const pybind11::handle type(reinterpret_cast<PyObject*>(Py_TYPE(object)));
  const NumpyApi& numpy = NumpyApi::get();
  // Subclasses of ndarray may mean something else by their memory, as masked arrays do.
  if (!PyObject_CheckBuffer(object) || !pybind11::hasattr(type, "__dlpack__") ||
      PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject*>(numpy.PyArray_Type_)))
    return {};
  auto array = pybind11::reinterpret_steal<pybind11::object>(
      numpy.PyArray_FromAny_(object, nullptr, 0, 0, 0, nullptr));
  if (!array) forget_error();
  return array;
}

class Exchange {
 public:
  // Whether a tensor can be read by its description alone. To ask it runs no Python code, unless
  // a mode of PyTorch's is on that may run anybody's (torch.overrides.TorchFunctionMode).
  bool offers(PyObject* object) const {
    const Type* type = known(Py_TYPE(object));
    dlpack::Tensor tensor{};
    return type && !type->requires_grad(object) && describe(*type, object, tensor) &&
           !(dlpack::may_be_negated(tensor) && type->is_negated(object));
  }

  // What offers that as an ndarray that keeps it; null where that is for Python's reader to do or
  // refuse. Runs no Python code.
  pybind11::object view(PyObject* object) const {
    const Type* type = known(Py_TYPE(object));
    dlpack::Tensor tensor{};
    return type && describe(*type, object, tensor) ? as_array(tensor, object) : pybind11::object();
  }

  // Looks at an object's type, which may run anybody's code. Whether there is something new to
  // know.
  bool meet(PyObject* object) {
    const pybind11::handle type(reinterpret_cast<PyObject*>(Py_TYPE(object)));
    if (known(Py_TYPE(object))) return false;
    const dlpack::ExchangeApi* const api = dlpack::exchange_api(type);
    const pybind11::object flag = pybind11::getattr(type, "requires_grad", pybind11::none());
    const bool in_c = Py_TYPE(flag.ptr()) == &PyGetSetDescr_Type;
    if (!api || !(flag.is_none() || in_c)) return false;
    types_.push_back({pybind11::reinterpret_borrow<pybind11::object>(type), api, flag,
                      pybind11::getattr(type, "is_neg", pybind11::none())});
    return true;
  }

 private:
  struct Type {
    pybind11::object type;
    const dlpack::ExchangeApi* api;
    pybind11::object flag;  // says of a tensor whether it requires a gradient itself, as PyTorch's
    pybind11::object negated;  // whether its elements are to be read with the other sign

    bool requires_grad(PyObject* object) const {
      if (flag.is_none()) return false;
      const auto get = Py_TYPE(flag.ptr())->tp_descr_get;
      const auto value =
          pybind11::reinterpret_steal<pybind11::object>(get(flag.ptr(), object, type.ptr()));
      if (!value) forget_error();
      return value.ptr() != Py_False;
    }

    bool is_negated(PyObject* object) const {
      if (negated.is_none()) return false;
      const auto value = pybind11::reinterpret_steal<pybind11::object>(
          PyObject_CallFunctionObjArgs(negated.ptr(), object, nullptr));
      if (!value) forget_error();
      return value.ptr() != Py_False;
    }
  };

  static bool describe(const Type& type, PyObject* object, dlpack::Tensor& tensor) {
    if (type.api->tensor_from_object(object, &tensor) == 0) return true;
    forget_error();
    return false;
  }

  const Type* known(const PyTypeObject* type) const {
    for (const Type& each : types_)
      if (each.type.ptr() == reinterpret_cast<const PyObject*>(type)) return &each;
    return nullptr;
  }

  static PyObject* descr_of(const dlpack::Tensor& tensor) {
    if (tensor.code != dlpack::floating || tensor.lanes != 1) return nullptr;
    if (tensor.bits == 32) return float32_descr();
    if (tensor.bits == 64) return float64_descr();
    return tensor.bits == 16 ? float16_descr() : nullptr;
  }

  static pybind11::object as_array(const dlpack::Tensor& tensor, PyObject* owner) {
    PyObject* descr = descr_of(tensor);
    if (!descr || !tensor.data || tensor.device_type != dlpack::cpu ||
        tensor.ndim > dlpack::most_axes)
      return {};
    std::array<Py_intptr_t, dlpack::most_axes> shape, strides;
    for (int axis = 0; axis < tensor.ndim; ++axis) {
      shape[axis] = static_cast<Py_intptr_t>(tensor.shape[axis]);
      if (tensor.strides)
        strides[axis] = static_cast<Py_intptr_t>(tensor.strides[axis]) * (tensor.bits / 8);
    }
    const NumpyApi& numpy = NumpyApi::get();
    Py_INCREF(descr);  // which the array takes
    auto array = pybind11::reinterpret_steal<pybind11::object>(numpy.PyArray_NewFromDescr_(
        numpy.PyArray_Type_, descr, tensor.ndim, shape.data(),
        tensor.strides ? strides.data() : nullptr, dlpack::first_byte(tensor), 0, nullptr));
    if (!array) throw pybind11::error_already_set();
    Py_INCREF(owner);  // as does this
    if (numpy.PyArray_SetBaseObject_(array.ptr(), owner) < 0) throw pybind11::error_already_set();
    return array;
  }

  std::vector<Type> types_;
};

}  // namespace gradstep
