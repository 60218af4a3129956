#include <apprentice/core/tensor.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <apprentice/core/autograd.h>
#include <apprentice/core/tensor_internal.h>
#include <apprentice/kernels/convert.h>
#include <apprentice/kernels/fill.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice {

void load_dense_units();

namespace {

const TensorImpl& require(const std::shared_ptr<TensorImpl>& impl) {
  check(impl != nullptr, "tensor: undefined tensor used");
  return *impl;
}

void check_dtype(const Tensor& tensor, Dtype wanted) {
  check<DtypeError>(tensor.dtype() == wanted, "tensor: dtype is {}, asked for {}",
                    name_of(tensor.dtype()), name_of(wanted));
}

template <class From, class To>
void convert(const void* from, void* to, int64_t count) {
  const From* source = static_cast<const From*>(from);
  To* target = static_cast<To*>(to);
  for (int64_t i = 0; i < count; ++i) target[i] = To(source[i]);
}

Device device_of(const TensorImpl& impl) { return impl.storage->buffer.device(); }

/// To the host, converting.
void copy_elements(const TensorImpl& from, void* to, Dtype to_dtype) {
  const int64_t count = from.shape.numel();
  const size_t bytes = size_t(count) * size_of(from.dtype);
  const Device device = device_of(from);
  if (from.dtype == to_dtype)
    return copy_bytes(to, {}, from.bytes(), device, bytes, current_stream(device));
  std::vector<std::byte> staging;
  const void* source = from.bytes();
  if (!device.is_cpu()) {
    staging.resize(bytes);
    copy_bytes(staging.data(), {}, source, device, bytes, current_stream(device));
    source = staging.data();
  }
  with_dtype(from.dtype, "copy", [&]<class From>() {
    with_dtype(to_dtype, "copy", [&]<class To>() { convert<From, To>(source, to, count); });
  });
}

/// On the device that both lie on, by its kernel, if there is one: between f32 and bf16.
bool convert_on_device(const TensorImpl& from, TensorImpl& to) {
  const int64_t n = to.shape.numel();
  const auto run = [&]<class From, class To>() {
    if (from.dtype != dtype_of<From> || to.dtype != dtype_of<To>) return false;
    kernels::launch<kernels::Convert<From, To>>({{reinterpret_cast<const From*>(from.bytes()), {n}},
                                                 {reinterpret_cast<To*>(to.bytes()), {n}}},
                                                current_stream(device_of(to)));
    return true;
  };
  return run.template operator()<float, Bf16>() || run.template operator()<Bf16, float>();
}

/// Into `to`, converting, from and to any device.
void copy_elements(const TensorImpl& from, TensorImpl& to) {
  const Device source = device_of(from), target = device_of(to);
  const size_t bytes = size_t(to.shape.numel()) * size_of(to.dtype);
  if (source == target && convert_on_device(from, to)) return;
  if (target.is_cpu()) return copy_elements(from, to.bytes(), to.dtype);
  if (from.dtype == to.dtype && (source.is_cpu() || source == target))
    return copy_bytes(to.bytes(), target, from.bytes(), source, bytes, current_stream(target));
  std::vector<std::byte> staging(bytes);
  copy_elements(from, staging.data(), to.dtype);
  copy_bytes(to.bytes(), target, staging.data(), {}, bytes, current_stream(target));
}

void note_write(TensorImpl& impl) { impl.storage->version.fetch_add(1, std::memory_order_relaxed); }

const TensorImpl& require_host(const TensorImpl& impl) {
  check<DeviceError>(device_of(impl).is_cpu(), "tensor: on {} and read on the host; use to(Device)",
                     device_of(impl).str());
  return impl;
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, Dtype dtype, Device device) {
  // Every road to an operation passes here, so the dense kernels are in their tables before the
  // first.
  load_dense_units();
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = std::make_shared<Storage>(size_t(shape.numel()) * size_of(dtype), device);
  impl->shape = shape;
  impl->dtype = dtype;
  return Tensor(std::move(impl));
}

Tensor Tensor::zeros(const Shape& shape, Dtype dtype) { return empty({}, dtype).new_zeros(shape); }

Tensor Tensor::new_zeros(const Shape& shape) const {
  Tensor t = new_empty(shape);
  fill_bytes(t.impl_->bytes(), 0, size_t(t.numel()) * size_of(dtype()), current_stream(device()));
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, Dtype dtype) {
  Tensor t = empty(shape, dtype);
  t.fill(value);
  return t;
}

template <class T>
Tensor Tensor::from(const std::vector<T>& values, const Shape& shape) {
  check<ShapeError>(int64_t(values.size()) == shape.numel(), "tensor: {} values for shape {}",
                    values.size(), shape.str());
  Tensor t = empty(shape, dtype_of<T>);
  copy_bytes(t.impl_->bytes(), t.device(), values.data(), {}, values.size() * sizeof(T),
             current_stream(t.device()));
  return t;
}

Tensor Tensor::scalar(double value, Dtype dtype) { return full({}, value, dtype); }

Tensor Tensor::uniform(const Shape& shape, float low, float high, Rng& rng) {
  Tensor t = empty(shape, Dtype::f32, {});
  float* data = t.data<float>();
  // Rounding may reach `high`, which is not in the interval.
  const float last = std::max(std::nextafter(high, low), low);
  for (int64_t i = 0; i < t.numel(); ++i)
    data[i] = std::min(low + (high - low) * rng.uniform(), last);
  return t.to(current_device());
}

Tensor Tensor::normal(const Shape& shape, float mean, float deviation, Rng& rng) {
  Tensor t = empty(shape, Dtype::f32, {});
  float* data = t.data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) data[i] = mean + deviation * rng.normal();
  return t.to(current_device());
}

const Shape& Tensor::shape() const { return require(impl_).shape; }
Dtype Tensor::dtype() const { return require(impl_).dtype; }

Device Tensor::device() const { return device_of(require(impl_)); }

void* Tensor::raw() {
  require_host(require(impl_));
  note_write(*impl_);
  return impl_->bytes();
}
const void* Tensor::raw() const { return require_host(require(impl_)).bytes(); }

std::byte* Tensor::bytes() {
  require(impl_);
  note_write(*impl_);
  return impl_->bytes();
}
const std::byte* Tensor::bytes() const { return require(impl_).bytes(); }

template <class T>
T* Tensor::data() {
  check_dtype(*this, dtype_of<T>);
  return static_cast<T*>(raw());
}
template <class T>
const T* Tensor::data() const {
  check_dtype(*this, dtype_of<T>);
  return static_cast<const T*>(raw());
}

template <class T>
T* Tensor::pointer() {
  check_dtype(*this, dtype_of<T>);
  note_write(*impl_);
  return reinterpret_cast<T*>(impl_->bytes());
}
template <class T>
const T* Tensor::pointer() const {
  check_dtype(*this, dtype_of<T>);
  return reinterpret_cast<const T*>(impl_->bytes());
}

double Tensor::item() const {
  check<ShapeError>(numel() == 1, "item: shape {} has {} elements, expected 1", shape().str(),
                    numel());
  return to_vector<double>()[0];
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  std::vector<T> values;
  values.resize(size_t(numel()));
  copy_elements(*impl_, values.data(), dtype_of<T>);
  return values;
}

void Tensor::copy_from(const Tensor& other) {
  check<ShapeError>(shape() == other.shape(), "copy_from: got {}, expected {}", other.shape().str(),
                    shape().str());
  note_write(*impl_);
  copy_elements(*other.impl_, *impl_);
}

void Tensor::fill(double value) {
  require(impl_);
  note_write(*impl_);
  kernels::Fill::Args args{impl_->bytes(), int(size_of(dtype())), numel()};
  with_dtype(dtype(), "fill", [&]<class T>() {
    const T element = T(value);
    std::memcpy(&args.bits, &element, sizeof element);
  });
  kernels::launch<kernels::Fill>(args, current_stream(device()));
}

Tensor Tensor::clone() const {
  Tensor t = new_empty(shape());
  copy_elements(*impl_, *t.impl_);
  return t;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return *this;
  Tensor t = empty(shape(), dtype(), device);
  copy_elements(*impl_, *t.impl_);
  return t;
}

Tensor Tensor::detach() const { return alias(shape()); }

Tensor Tensor::alias(const Shape& shape, int64_t offset) const {
  check<ShapeError>(offset >= 0 && offset + shape.numel() <= numel(),
                    "alias: {} at element {} lies outside {}", shape.str(), offset,
                    this->shape().str());
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = impl_->storage;
  impl->offset = impl_->offset + offset * int64_t(size_of(dtype()));
  impl->shape = shape;
  impl->dtype = impl_->dtype;
  return Tensor(std::move(impl));
}

bool Tensor::requires_grad() const { return require(impl_).requires_grad; }

Tensor& Tensor::set_requires_grad(bool on) {
  check(!require(impl_).node, "set_requires_grad: this is the result of {}, not a leaf; detach it",
        impl_->node ? impl_->node->op() : "");
  const bool real = dtype() == Dtype::f32 || dtype() == Dtype::f64 || dtype() == Dtype::bf16;
  check<DtypeError>(!on || real, "set_requires_grad: got {}, expected f32, f64 or bf16",
                    name_of(dtype()));
  impl_->requires_grad = on;
  return *this;
}

Tensor Tensor::grad() const { return require(impl_).grad; }

void Tensor::set_grad(Tensor grad) {
  check<ShapeError>(!grad || grad.shape() == shape(), "set_grad: got {}, expected {}",
                    grad ? grad.shape().str() : "", shape().str());
  impl_->grad = std::move(grad);
}

void Tensor::on_grad_ready(std::function<void(Tensor&)> hook) {
  require(impl_);
  impl_->grad_ready = std::move(hook);
}

const std::shared_ptr<Node>& Tensor::node() const { return require(impl_).node; }

bool sole_owner(const Tensor& tensor) {
  return tensor.impl().use_count() == 1 && tensor.impl()->storage.use_count() == 1;
}

#define APPRENTICE_TENSOR_OF(T)                                      \
  template Tensor Tensor::from(const std::vector<T>&, const Shape&); \
  template T* Tensor::data<T>();                                     \
  template const T* Tensor::data<T>() const;                         \
  template T* Tensor::pointer<T>();                                  \
  template const T* Tensor::pointer<T>() const;                      \
  template std::vector<T> Tensor::to_vector<T>() const;
APPRENTICE_TENSOR_OF(float)
APPRENTICE_TENSOR_OF(double)
APPRENTICE_TENSOR_OF(Bf16)
APPRENTICE_TENSOR_OF(int64_t)
APPRENTICE_TENSOR_OF(int32_t)
APPRENTICE_TENSOR_OF(int8_t)
APPRENTICE_TENSOR_OF(uint8_t)
#undef APPRENTICE_TENSOR_OF

}  // namespace apprentice
