#pragma once

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>
#include <vector>

#include <apprentice/kernels/dense/cudnn/library_internal.h>

namespace apprentice::kernels::dense {

/// The type that cuDNN knows a C++ type by; undefined for one that it does not know.
template <class T>
struct CudnnType;
template <cudnnBackendAttributeType_t type>
using CudnnTypeIs = std::integral_constant<cudnnBackendAttributeType_t, type>;
template <>
struct CudnnType<int64_t> : CudnnTypeIs<CUDNN_TYPE_INT64> {};
template <>
struct CudnnType<float> : CudnnTypeIs<CUDNN_TYPE_FLOAT> {};
template <>
struct CudnnType<bool> : CudnnTypeIs<CUDNN_TYPE_BOOLEAN> {};
template <>
struct CudnnType<char> : CudnnTypeIs<CUDNN_TYPE_CHAR> {};
template <>
struct CudnnType<cudnnDataType_t> : CudnnTypeIs<CUDNN_TYPE_DATA_TYPE> {};
template <>
struct CudnnType<cudnnConvolutionMode_t> : CudnnTypeIs<CUDNN_TYPE_CONVOLUTION_MODE> {};
template <>
struct CudnnType<cudnnPointwiseMode_t> : CudnnTypeIs<CUDNN_TYPE_POINTWISE_MODE> {};
template <>
struct CudnnType<cudnnNanPropagation_t> : CudnnTypeIs<CUDNN_TYPE_NAN_PROPOGATION> {};
template <>
struct CudnnType<cudnnBackendHeurMode_t> : CudnnTypeIs<CUDNN_TYPE_HEUR_MODE> {};
template <>
struct CudnnType<cudnnBackendKnobType_t> : CudnnTypeIs<CUDNN_TYPE_KNOB_TYPE> {};
template <>
struct CudnnType<cudnnBackendNumericalNote_t> : CudnnTypeIs<CUDNN_TYPE_NUMERICAL_NOTE> {};
template <>
struct CudnnType<cudnnBackendDescriptor_t> : CudnnTypeIs<CUDNN_TYPE_BACKEND_DESCRIPTOR> {};

/// One object of cuDNN's graph API: attributes are set, then it is finished and can be read.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check_cudnn(cudnn().create_descriptor(type, &raw_), "cudnnBackendCreateDescriptor");
  }
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Descriptor() {
    if (raw_) cudnn().destroy_descriptor(raw_);
  }

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
           const void* values) {
    check_cudnn(cudnn().set_attribute(raw_, name, type, count, values), "cudnnBackendSetAttribute");
  }
  /// A value, a list of them, another descriptor.
  template <class T>
  void set(cudnnBackendAttributeName_t name, const T& value) {
    set(name, CudnnType<T>::value, 1, &value);
  }
  template <class T, size_t N>
  void set(cudnnBackendAttributeName_t name, const std::array<T, N>& values) {
    set(name, CudnnType<T>::value, int64_t(N), values.data());
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& other) { set(name, other.raw_); }
  void finish() { check_cudnn(cudnn().finalize(raw_), "cudnnBackendFinalize"); }

  /// Up to `room` values.
  template <class T>
  std::vector<T> get(cudnnBackendAttributeName_t name, int64_t room) const {
    std::vector<T> values(size_t(room), T{});
    int64_t count = 0;
    read(name, CudnnType<T>::value, room, &count, values.data());
    values.resize(size_t(count));
    return values;
  }
  template <class T>
  T get(cudnnBackendAttributeName_t name) const {
    T value{};
    int64_t count = 0;
    read(name, CudnnType<T>::value, 1, &count, &value);
    return value;
  }
  /// Descriptors of `type`: cuDNN fills in those that it is given.
  std::vector<Descriptor> get_descriptors(cudnnBackendAttributeName_t name,
                                          cudnnBackendDescriptorType_t type, int64_t room) const {
    std::vector<Descriptor> all;
    std::vector<cudnnBackendDescriptor_t> raw;
    for (int64_t i = 0; i < room; ++i) raw.push_back(all.emplace_back(type).raw_);
    int64_t count = 0;
    read(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, room, &count, raw.data());
    all.erase(all.begin() + std::min(count, room), all.end());
    return all;
  }
  int64_t count(cudnnBackendAttributeName_t name) const {
    int64_t count = 0;
    read(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr);
    return count;
  }
  cudnnBackendDescriptor_t raw() const { return raw_; }
  explicit operator bool() const { return raw_ != nullptr; }

 private:
  void read(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t room,
            int64_t* count, void* values) const {
    check_cudnn(cudnn().get_attribute(raw_, name, type, room, count, values),
                "cudnnBackendGetAttribute");
  }

  cudnnBackendDescriptor_t raw_ = nullptr;
};

}  // namespace apprentice::kernels::dense
