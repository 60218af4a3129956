#include <apprentice/base/dtype.h>
#include <support/throws.h>
#include <catch2/catch.hpp>

using namespace apprentice;

TEST_CASE("every dtype has the name and the size of its C++ type") {
  CHECK(name_of(Dtype::f32) == "f32");
  CHECK(name_of(Dtype::f64) == "f64");
  CHECK(name_of(Dtype::bf16) == "bf16");
  CHECK(name_of(Dtype::f16) == "f16");
  CHECK(name_of(Dtype::i64) == "i64");
  CHECK(name_of(Dtype::i32) == "i32");
  CHECK(name_of(Dtype::i8) == "i8");
  CHECK(name_of(Dtype::u8) == "u8");
  CHECK(size_of(dtype_of<float>) == sizeof(float));
  CHECK(size_of(dtype_of<double>) == sizeof(double));
  CHECK(size_of(dtype_of<int64_t>) == sizeof(int64_t));
  CHECK(size_of(dtype_of<int32_t>) == sizeof(int32_t));
  CHECK(size_of(dtype_of<int8_t>) == 1);
  CHECK(size_of(dtype_of<uint8_t>) == 1);
  CHECK(size_of(Dtype::bf16) == 2);
  CHECK(size_of(Dtype::f16) == 2);
}

TEST_CASE("with_float calls with float or double and refuses the rest by name") {
  const auto bytes = []<class T>() { return sizeof(T); };
  CHECK(with_float(Dtype::f32, "conv2d", bytes) == 4);
  CHECK(with_float(Dtype::f64, "conv2d", bytes) == 8);
  CHECK(test::throws<DtypeError>([&] { with_float(Dtype::i64, "conv2d", bytes); }, "conv2d", "i64",
                                 "f32 or f64") == "");
}
