#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>

#include <support/golden.h>
#include <support/temp_folder.h>
#include <support/throws.h>

#include <apprentice/base/safetensors.h>
#include <apprentice/core/state.h>

using namespace apprentice;
using test::throws;

namespace {

template <class T>
TensorBytes bytes_of(const std::string& name, const std::string& dtype, const Shape& shape,
                     const std::vector<T>& values) {
  return {name, dtype, shape, std::as_bytes(std::span(values))};
}

}  // namespace

TEST_CASE("a state comes back as it was saved") {
  test::TempFolder folder;
  Rng rng(1, RngPurpose::test);
  State state;
  state.metadata = {{"arch", "resnet20"}, {"note", "line\nbreak"}};
  state.tensors["w"] = Tensor::normal({4, 3, 5, 2}, 0, 1, rng).set_requires_grad();
  state.tensors["b"] = Tensor::from<double>({1, -2}, {2});
  state.tensors["steps"] = Tensor::from<int64_t>({1LL << 40}, {});
  state.tensors["codes"] = Tensor::from<int8_t>({-1, 0, 1}, {3, 1});
  state.tensors["none"] = Tensor::zeros({0, 3});
  save_state(folder / "s.safetensors", state);

  const State back = load_state(folder / "s.safetensors");
  CHECK(back.metadata == state.metadata);
  REQUIRE(back.tensors.size() == state.tensors.size());
  for (const auto& [name, tensor] : state.tensors) {
    CAPTURE(name);
    const Tensor& got = back.tensors.at(name);
    CHECK(got.shape() == tensor.shape());
    CHECK(got.dtype() == tensor.dtype());
    CHECK(got.to_vector<double>() == tensor.to_vector<double>());
    CHECK_FALSE(got.requires_grad());
  }
}

TEST_CASE("four axes lie in the file as out, in, kh, kw") {
  test::TempFolder folder;
  const std::string path = folder / "w.safetensors";
  std::vector<float> file_order(2 * 3 * 4 * 5);
  for (size_t i = 0; i < file_order.size(); ++i) file_order[i] = float(i);
  write_safetensors(path, {bytes_of("w", "F32", {2, 3, 4, 5}, file_order)});

  const State state = load_state(path);
  const Tensor& w = state.tensors.at("w");
  REQUIRE(w.shape() == Shape{2, 4, 5, 3});
  for (int64_t o = 0; o < 2; ++o)
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t r = 0; r < 4; ++r)
        for (int64_t s = 0; s < 5; ++s)
          CHECK(w.view<float, 4>()(o, r, s, i) == float(((o * 3 + i) * 4 + r) * 5 + s));

  save_state(folder / "again.safetensors", state);
  const auto again = SafetensorsFile::open(folder / "again.safetensors");
  CHECK(again.get("w").shape == Shape{2, 3, 4, 5});
  CHECK(again.get("w").values<float>() == file_order);
}

TEST_CASE("half precision is widened exactly") {
  test::TempFolder folder;
  const std::string path = folder / "h.safetensors";
  // 1, -2, the largest number, the smallest normal, the smallest and the largest subnormal, -0.
  const std::vector<uint16_t> f16{0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x03ff, 0x8000};
  const std::vector<uint16_t> f16_special{0x7c00, 0xfc00, 0x7e00};
  const std::vector<uint16_t> bf16{0x3f80, 0xc000, 0x7f80};
  write_safetensors(path, {bytes_of("f16", "F16", {7}, f16), bytes_of("bf16", "BF16", {3}, bf16),
                           bytes_of("special", "F16", {3}, f16_special)});
  const State state = load_state(path);
  CHECK(state.tensors.at("f16").dtype() == Dtype::f32);
  CHECK(state.tensors.at("f16").to_vector<float>() ==
        std::vector<float>{1, -2, 65504, 0x1p-14f, 0x1p-24f, 1023 * 0x1p-24f, -0.0f});
  CHECK(std::signbit(state.tensors.at("f16").to_vector<float>()[6]));
  const auto special = state.tensors.at("special").to_vector<float>();
  CHECK(special[0] == INFINITY);
  CHECK(special[1] == -INFINITY);
  CHECK(std::isnan(special[2]));
  CHECK(state.tensors.at("bf16").to_vector<float>() == std::vector<float>{1, -2, INFINITY});
}

TEST_CASE("a state that cannot be read or written says so") {
  test::TempFolder folder;
  const std::string path = folder / "x.safetensors";
  CHECK(throws<MissingInput>([&] { load_state(path); }, path) == "");
  write_safetensors(path, {bytes_of<uint16_t>("mask", "U16", {1}, {1})});
  CHECK(throws<DamagedFile>([&] { load_state(path); }, path, "mask", "U16") == "");
  std::ofstream(path) << "no model";
  CHECK(throws<DamagedFile>([&] { load_state(path); }, path) == "");
  CHECK_THROWS_AS(save_state(folder / "no/such/folder.safetensors", {}), IoError);
}

TEST_CASE("the published model files load") {
  for (const char* name : {"resnet20", "resnet56", "resnet20_jpeg", "resnet56_jpeg"}) {
    const auto path = test::data_file(fmt::format("models/cifar10/{}.safetensors", name));
    if (!path) return;
    CAPTURE(name);
    const State state = load_state(*path);
    CHECK(state.metadata.count("arch") == 1);
    CHECK(state.tensors.at("conv1.weight").shape() == Shape{16, 3, 3, 3});
    CHECK(state.tensors.at("layer2.0.conv1.weight").shape() == Shape{32, 3, 3, 16});
    CHECK(state.tensors.at("layer3.0.conv1.weight").dtype() == Dtype::f32);
  }
}
