#pragma once

#include <simt/kernel_test.h>

#include <memory>

#include <apprentice/kernels/lowbit_fragments.h>

#include <kernels/lowbit_problem.h>

namespace apprentice::testing {

/// Weights in the order of tensor cores, in device memory for tests.
template <int Bits>
kernels::LowbitFragments device_fragments(const kernels::PackedCodes<Bits>& weight) {
  const std::vector<uint32_t> words = kernels::make_fragments(weight);
  const auto memory = std::make_shared<simt::Buffer<uint32_t>>(simt::Buffer<uint32_t>::from(words));
  return {{weight.rows, weight.cols},
          int64_t(4 * words.size()),
          std::shared_ptr<const uint32_t>(memory, memory->data())};
}

/// Bytes in device memory, the first `offset` bytes behind an aligned address.
class DeviceBytes {
 public:
  DeviceBytes(const std::vector<uint8_t>& bytes, int64_t offset)
      : offset_(offset), memory_(make(bytes, offset)) {}
  uint8_t* data() const { return memory_.data() + offset_; }

 private:
  static simt::Buffer<uint8_t> make(std::vector<uint8_t> bytes, int64_t offset) {
    bytes.insert(bytes.begin(), size_t(offset), uint8_t(0xA5));
    return simt::Buffer<uint8_t>::from(bytes);
  }
  int64_t offset_;
  simt::Buffer<uint8_t> memory_;
};

/// Constants of an epilogue in device memory.
class DeviceEpilogue {
 public:
  explicit DeviceEpilogue(const test::RandomEpilogue& host)
      : a_(simt::Buffer<float>::from(host.a)),
        a_negative_(simt::Buffer<float>::from(host.a_negative)),
        b_(simt::Buffer<float>::from(host.b)),
        view(host.view) {
    view.a.data = a_.data();
    view.b.data = b_.data();
    if (view.a_negative) view.a_negative.data = a_negative_.data();
  }

 private:
  simt::Buffer<float> a_, a_negative_, b_;

 public:
  kernels::Epilogue view;
};

}  // namespace apprentice::testing
