#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include <apprentice/core/tensor.h>

namespace apprentice {

/// Memory and how often somebody has asked to write to it.
struct Storage {
  Storage(size_t bytes, Device device) : buffer(bytes, device) {}
  Buffer buffer;
  std::atomic<uint64_t> version{0};
};

struct TensorImpl {
  std::shared_ptr<Storage> storage;
  int64_t offset = 0;  ///< in bytes
  Shape shape;
  Dtype dtype = Dtype::f32;
  bool requires_grad = false;
  std::shared_ptr<Node> node;
  Tensor grad;
  std::function<void(Tensor&)> grad_ready;

  std::byte* bytes() const { return static_cast<std::byte*>(storage->buffer.data()) + offset; }
};

/// Calls fn.template operator()<T>() with the C++ type of `dtype`; DtypeError for f16, which no
/// kernel reads yet.
template <class Fn>
decltype(auto) with_dtype(Dtype dtype, const char* what, Fn&& fn) {
  switch (dtype) {
    case Dtype::f64:
      return fn.template operator()<double>();
    case Dtype::i64:
      return fn.template operator()<int64_t>();
    case Dtype::i32:
      return fn.template operator()<int32_t>();
    case Dtype::i8:
      return fn.template operator()<int8_t>();
    case Dtype::u8:
      return fn.template operator()<uint8_t>();
    case Dtype::bf16:
      return fn.template operator()<Bf16>();
    case Dtype::f16:
      check<DtypeError>(false, "{}: {} is not supported", what, name_of(dtype));
      break;
    case Dtype::f32:
      break;
  }
  return fn.template operator()<float>();
}

/// Is this handle the only one on its memory, so that it may be written in place?
bool sole_owner(const Tensor& tensor);
/// a += b, same shape and dtype.
void accumulate(Tensor& a, const Tensor& b);

}  // namespace apprentice
