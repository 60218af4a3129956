#include <simt/faults.h>
#include <simt/kernel_test.h>

namespace apprentice {

using Catch::Contains;
using testing::fault_of;

namespace {

simt::TensorMapSpec matrix_spec() {
  return {.rank = 2, .element_bytes = 1, .sizes = {64, 8}, .strides = {1, 64}, .box = {32, 8}};
}

template <class Change>
std::string refusal(Change change) {
  const simt::Buffer<char> x(64 * 8);
  auto spec = matrix_spec();
  change(spec);
  return fault_of([&] { simt::make_tensor_map(spec, x.data()); });
}

}  // namespace

TEST_CASE("a tensor map that the driver would refuse is refused, with what is wrong") {
  CHECK(refusal([](auto&) {}) == "");
  CHECK_THAT(refusal([](auto& s) { s.strides[1] = 40; }), Contains("stride 40 of axis 1"));
  CHECK_THAT(refusal([](auto& s) { s.box[1] = 257; }), Contains("box of 257 on axis 1"));
  CHECK_THAT(refusal([](auto& s) { s.box[0] = 24; }), Contains("rows of 24 bytes"));
  CHECK_THAT(refusal([](auto& s) { s.steps[1] = 9; }), Contains("step 9 of axis 1"));
  CHECK_THAT(refusal([](auto& s) { s.element_bytes = 8; }), Contains("elements of 8 bytes"));
  CHECK_THAT(refusal([](auto& s) {
               s.box[0] = 64;
               s.swizzle = simt::Swizzle::b32;
             }),
             Contains("do not fit the 32 bytes"));
  CHECK_THAT(refusal([](auto& s) { s.im2col = true; }), Contains("im2col of rank 2"));
  const auto spec = matrix_spec();
  const simt::Buffer<char> x(64 * 9);
  CHECK_THAT(fault_of([&] { simt::make_tensor_map(spec, x.data() + 8); }),
             Contains("a multiple of 16 bytes"));
}

SIMT_KERNEL copy_misplaced(const simt::TensorMap map, int offset) {
  unsigned char* s = simt::dynamic_shared<unsigned char>();
  SIMT_SHARED(uint64_t, barrier, 1);
  if (threadIdx.x > 0) return;
  simt::mbarrier_init(barrier, 1);
  simt::mbarrier_fence_init();
  const int at[2] = {0, 0};
  simt::tensor_copy(s + offset, map, at, barrier);
}

TEST_CASE("a tensor copy to a misaligned place or past shared memory is reported") {
  const simt::Buffer<char> x(64 * 8);
  const auto map = simt::make_tensor_map(matrix_spec(), x.data());
  const auto at = [&](int offset) {
    return fault_of([&] { simt::launch(copy_misplaced, 1, 32, 384, nullptr, map, offset); });
  };
  CHECK(at(0) == "");
  CHECK_THAT(at(16), Contains("misaligned 128-byte access"));
  CHECK_THAT(at(256), Contains("256 bytes at offset 256 are not inside shared memory"));
}

}  // namespace apprentice
