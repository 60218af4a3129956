#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/device.h>
#include <apprentice/base/dtype.h>
#include <apprentice/base/rng.h>
#include <apprentice/base/shape.h>
#include <apprentice/base/stream.h>
#include <apprentice/base/view.h>

namespace apprentice {

class Node;
struct TensorImpl;

/// Shared handle on a dense row-major array and, where a gradient is wanted, on its place in the
/// graph. Copying copies the handle. `reshape` and `slice` are views of the same memory; everything
/// else makes a new tensor. A default-constructed Tensor is undefined: "no tensor here".
///
/// Images are [n, h, w, c], convolution weights [out, kh, kw, in].
class Tensor {
 public:
  Tensor() = default;

  /// Not initialised. This and the makers below make it on the current device (base/stream.h).
  static Tensor empty(const Shape& shape, Dtype dtype = Dtype::f32,
                      Device device = current_device());
  static Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32);
  static Tensor full(const Shape& shape, double value, Dtype dtype = Dtype::f32);
  /// A copy of `values`; ShapeError unless there are shape.numel() of them.
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape);
  /// One element, no axes.
  static Tensor scalar(double value, Dtype dtype = Dtype::f32);
  /// Independent uniform values in [low, high).
  static Tensor uniform(const Shape& shape, float low, float high, Rng& rng);
  /// Independent normal values.
  static Tensor normal(const Shape& shape, float mean, float deviation, Rng& rng);

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const;
  int rank() const { return shape().rank(); }
  int64_t numel() const { return shape().numel(); }
  /// Size of an axis; negative axes count from the end.
  int64_t size(int axis) const { return shape().size(axis); }
  Dtype dtype() const;
  /// Where the memory lies.
  Device device() const;
  /// Not initialised, of this dtype (or `dtype`) on this device.
  Tensor new_empty(const Shape& shape) const { return empty(shape, dtype(), device()); }
  Tensor new_empty(const Shape& shape, Dtype dtype) const { return empty(shape, dtype, device()); }
  /// The same with zeros.
  Tensor new_zeros(const Shape& shape) const;

  /// The elements, on the CPU; DtypeError unless T is the dtype, DeviceError elsewhere. Writing to
  /// a tensor that the graph has saved makes backward() throw.
  template <class T>
  T* data();
  template <class T>
  const T* data() const;
  void* raw();
  const void* raw() const;
  /// The memory wherever it lies, for kernels that move elements of any type.
  std::byte* bytes();
  const std::byte* bytes() const;
  /// Same elements as a kernel of this device takes them; ShapeError unless the rank is R.
  template <class T, int R>
  View<T, R> view() {
    return {pointer<T>(), sizes_of_rank<R>()};
  }
  template <class T, int R>
  View<const T, R> view() const {
    return {pointer<T>(), sizes_of_rank<R>()};
  }
  /// The same under other sizes with as many elements: one axis, or those given.
  template <class T>
  View1<T> flat() {
    return {pointer<T>(), {numel()}};
  }
  template <class T>
  View1<const T> flat() const {
    return {pointer<T>(), {numel()}};
  }
  template <class T, size_t R>
  View<T, int(R)> as(const std::array<int64_t, R>& sizes) {
    return {pointer<T>(), sizes};
  }
  template <class T, size_t R>
  View<const T, int(R)> as(const std::array<int64_t, R>& sizes) const {
    return {pointer<T>(), sizes};
  }
  /// The only element, converted; ShapeError unless numel() is 1.
  double item() const;
  /// A copy of the elements, converted to T.
  template <class T>
  std::vector<T> to_vector() const;

  /// Copies the elements of `other` into this memory (converting); ShapeError unless shapes agree.
  void copy_from(const Tensor& other);
  void fill(double value);
  /// New memory, same values, not in the graph.
  Tensor clone() const;
  /// Same memory, not in the graph.
  Tensor detach() const;
  /// The same values on another device, not in the graph; *this if it lies there.
  Tensor to(Device device) const;

  // --- in the graph (each defined in core/ops) ---
  /// Same elements in another shape; one size may be -1.
  Tensor reshape(const Shape& shape) const;
  Tensor reshape(std::initializer_list<int64_t> sizes) const;
  /// Elements [begin, end) of the first axis.
  Tensor slice(int64_t begin, int64_t end) const;
  /// Converted, to bf16 by way of f32; differentiable between f32, f64 and bf16. Between f32 and
  /// bf16 the device of the tensor does it, other conversions are the host's.
  Tensor to(Dtype dtype) const;

  // --- autograd ---
  bool requires_grad() const;
  /// Makes this a leaf whose gradient backward() adds up. Returns *this.
  Tensor& set_requires_grad(bool on = true);
  /// What backward() added up so far; undefined before.
  Tensor grad() const;
  void set_grad(Tensor grad);
  /// Adds d(this)/d(leaf) to every leaf and gives what operations saved back on the way, so it runs
  /// once through a graph. `grad` is the upstream gradient (1 if undefined, for one element).
  /// ShapeError if it does not fit, Error if nothing here requires a gradient, if an earlier
  /// backward() released the graph or if a saved tensor was written to since.
  void backward(const Tensor& grad = {}) const;
  /// Called with the leaf each time its gradient of one backward() is complete. Gradient reduction
  /// over processes hangs here.
  void on_grad_ready(std::function<void(Tensor&)> hook);
  /// The operation that made it; null for leaves and outside the graph.
  const std::shared_ptr<Node>& node() const;

  const std::shared_ptr<TensorImpl>& impl() const { return impl_; }
  explicit Tensor(std::shared_ptr<TensorImpl> impl) : impl_(std::move(impl)) {}
  /// Same memory and same element count under another shape, outside the graph.
  Tensor alias(const Shape& shape, int64_t offset = 0) const;

 private:
  /// The elements wherever they lie; DtypeError unless T is the dtype.
  template <class T>
  T* pointer();
  template <class T>
  const T* pointer() const;

  template <int R>
  std::array<int64_t, R> sizes_of_rank() const {
    check<ShapeError>(rank() == R, "view: shape {} has {} axes, expected {}", shape().str(), rank(),
                      R);
    std::array<int64_t, R> sizes{};
    for (int i = 0; i < R; ++i) sizes[size_t(i)] = shape()[i];
    return sizes;
  }

  std::shared_ptr<TensorImpl> impl_;
};

}  // namespace apprentice
