#pragma once

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <apprentice/base/rng.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/packed/description.h>

namespace apprentice::test {

/// A packed network small enough to compute by hand; the first two have every kind of layer, weight
/// and shortcut. Option A, as in CIFAR ResNets:
///   image 9x8x3 -> stem 5 -> ternary 5 (+ nothing) -> int4 9, stride 2 (+ option A of the stem)
///   -> ttq 9 (+ plain) -> pool -> linear 4
/// Projection, as in ImageNet ResNets:
///   image 9x8x3 -> stem 7x7 18 -> max_pool, stride 2 -> ternary 1x1 5 -> ternary 5, stride 2
///   -> int4 1x1 20 (+ ternary 1x1 20 of the max_pool, zero point 128) -> pool -> linear 4
/// Wide enough for the kernels of 6-bit (a, b) and 7-bit codes (c):
///   image 9x8x3 -> stem 32 -> ternary 36 -> int4 36 (+ plain) -> ttq 40 -> pool -> linear 4
/// With more products a sum than tensor cores add, to be loaded only:
///   image 9x8x3 -> stem 1x1 8200 -> int4 1 -> pool -> linear 4
struct TinyNetwork {
  enum class Kind { option_a, projection, wide, deep };

  packed::Description description;
  std::map<std::string, std::vector<float>> floats;
  std::map<std::string, Shape> shapes;
  std::map<std::string, std::vector<int8_t>> codes;  ///< by layer, OHWI
  std::map<std::string, std::vector<uint8_t>> packed_codes;
  std::map<std::string, std::string> metadata;

  explicit TinyNetwork(Kind kind = Kind::option_a) {
    description.height = 9, description.width = 8, description.channels = 3;
    kind == Kind::option_a     ? add_option_a()
    : kind == Kind::projection ? add_projection()
    : kind == Kind::wide       ? add_wide()
                               : add_deep();
    metadata = {{packed::kFormatKey, packed::kFormat},
                {packed::kSchemaKey, packed::kSchema},
                {"arch", "tiny"}};
  }

  std::vector<float> images(int64_t count) {
    std::vector<float> x(size_t(count * 9 * 8 * 3));
    for (float& v : x) v = rng_.normal();
    return x;
  }

  /// The bytes of the file, as they stand now.
  std::vector<std::byte> bytes() const {
    auto meta = metadata;
    if (!meta.count(packed::kNetworkKey)) meta[packed::kNetworkKey] = to_json(description);
    std::vector<TensorBytes> tensors;
    for (const auto& [name, values] : floats) {
      tensors.push_back(tensor_bytes<float>(name, shapes.at(name), values));
    }
    for (const auto& [name, values] : packed_codes) {
      tensors.push_back(tensor_bytes<uint8_t>(name, shapes.at(name), values));
    }
    const std::string header = safetensors_header(tensors, meta);
    std::vector<std::byte> all(header.size());
    std::memcpy(all.data(), header.data(), header.size());
    for (const TensorBytes& t : tensors) all.insert(all.end(), t.data.begin(), t.data.end());
    return all;
  }
  SafetensorsFile file() const { return SafetensorsFile::parse(bytes(), "tiny.safetensors"); }

 private:
  void add_option_a() {
    add_conv("stem", "conv1", "", 0, 1, {3, 5, 3, 1});
    add_conv("conv", "a", "ternary", 1, 2, {5, 5, 3, 1});
    add_conv("conv", "b", "int4", 2, 3, {5, 9, 3, 2});
    description.layers.back().residual = 1;
    description.layers.back().r = 0.7f;
    add_conv("conv", "c", "ttq", 3, 4, {9, 9, 3, 1});
    description.layers.back().residual = 3;
    description.layers.back().r = 1.3f;
    add_head(4, 9);
  }

  void add_projection() {
    add_conv("stem", "conv1", "", 0, 1, {3, 18, 7, 1});
    packed::Layer pool;
    pool.op = "max_pool", pool.name = "maxpool", pool.x = 1, pool.y = 2;
    pool.kernel = {3, 3}, pool.stride = {2, 2}, pool.padding = {1, 1};
    description.layers.push_back(pool);
    add_conv("conv", "a", "ternary", 2, 3, {18, 5, 1, 1});
    add_conv("conv", "b", "ternary", 3, 4, {5, 5, 3, 2});
    for (float& b : floats["b.b"]) b -= 10;
    add_conv("conv", "shortcut", "ternary", 2, 5, {18, 20, 1, 2});
    description.layers.back().zero_point = 128;
    description.layers.back().max_code = 255;
    for (float& b : floats["shortcut.b"]) b += 108;
    add_conv("conv", "c", "int4", 4, 6, {5, 20, 1, 1});
    description.layers.back().residual = 5;
    description.layers.back().r = 0.7f;
    for (float& b : floats["c.b"]) b = std::fmaf(-128, 0.7f, b);
    add_head(6, 20);
  }

  void add_wide() {
    const auto spread = [&](const std::string& name, int max_code, float a, float b = 0) {
      description.layers.back().max_code = max_code;
      for (float& v : floats[name + ".a"]) v *= a;
      for (float& v : floats[name + ".b"]) v += b;
    };
    add_conv("stem", "conv1", "", 0, 1, {3, 32, 3, 1});
    spread("conv1", 63, 0.25f, -35);
    add_conv("conv", "a", "ternary", 1, 2, {32, 36, 3, 1});
    spread("a", 63, 1);
    add_conv("conv", "b", "int4", 2, 3, {36, 36, 3, 1});
    spread("b", 127, 0.3f);
    description.layers.back().residual = 2;
    description.layers.back().r = 0.7f;
    add_conv("conv", "c", "ttq", 3, 4, {36, 40, 3, 1});
    spread("c", 255, 1, 20);
    for (float& v : floats["c.a_neg"]) v *= 0.5f;
    add_head(4, 40);
  }

  void add_deep() {
    add_conv("stem", "conv1", "", 0, 1, {3, 8200, 1, 1});
    add_conv("conv", "a", "int4", 1, 2, {8200, 1, 3, 1});
    add_head(2, 1);
  }

  void add_head(int64_t x, int64_t channels) {
    packed::Layer pool;
    pool.op = "global_avg_pool", pool.name = "pool", pool.x = x, pool.y = x + 1;
    pool.step = 0.0137f;
    description.layers.push_back(pool);
    packed::Layer linear;
    linear.op = "linear", linear.name = "linear", linear.x = x + 1, linear.y = x + 2;
    linear.in = channels, linear.out = 4;
    description.layers.push_back(linear);
    add_floats("linear.weight", {4, channels}, 1.0f);
    add_floats("linear.bias", {4}, 1.0f);
  }

  struct Window {
    int64_t in, out, kernel, stride;
  };

  void add_floats(const std::string& name, const Shape& shape, float scale, float shift = 0) {
    std::vector<float> values(size_t(shape.numel()));
    for (float& v : values) v = rng_.normal() * scale + shift;
    floats[name] = values;
    shapes[name] = shape;
  }

  void add_conv(const std::string& op, const std::string& name, const std::string& weights,
                int64_t x, int64_t y, Window w) {
    packed::Layer layer;
    layer.op = op, layer.name = name, layer.weights = weights;
    layer.x = x, layer.y = y, layer.in = w.in, layer.out = w.out;
    layer.kernel = {w.kernel, w.kernel}, layer.stride = {w.stride, w.stride};
    layer.padding = {w.kernel / 2, w.kernel / 2};
    layer.max_code = op == "stem" ? 255 : 15 + 16 * int(y);
    description.layers.push_back(layer);
    if (op == "stem") {
      add_floats(name + ".weight", {w.out, w.kernel, w.kernel, w.in}, 3.0f / float(w.kernel));
      add_floats(name + ".a", {w.out}, 5.0f, 20.0f);
      add_floats(name + ".b", {w.out}, 20.0f, 60.0f);
      return;
    }
    add_codes(name, weights, w.out, w.kernel * w.kernel * w.in);
    add_floats(name + ".weight_scale", {1}, 0.0f, 0.1f);
    add_floats(name + ".a", {w.out}, 0.01f, 0.03f);
    add_floats(name + ".b", {w.out}, 5.0f, weights == "ttq" ? -30.0f : 20.0f);
    if (weights != "ttq") return;
    add_floats(name + ".weight_scale_neg", {1}, 0.0f, 0.2f);
    add_floats(name + ".a_neg", {w.out}, 0.01f, 0.03f);
  }

  void add_codes(const std::string& name, const std::string& weights, int64_t out, int64_t cols) {
    const int bits = weights == "int4" ? 4 : 2, low = bits == 4 ? -8 : -1;
    std::vector<int8_t> values(size_t(out * cols));
    for (int8_t& c : values) c = int8_t(low + int(rng_.below(bits == 4 ? 16 : 3)));
    codes[name] = values;
    auto& bytes = packed_codes[name + ".weight_packed"];
    bytes.resize(size_t(out * kernels::packed_row_bytes(bits, cols)));
    shapes[name + ".weight_packed"] = {out, kernels::packed_row_bytes(bits, cols)};
    const View2<const int8_t> view = {values.data(), {out, cols}};
    bits == 4 ? kernels::pack_codes<4>(view, bytes.data())
              : kernels::pack_codes<2>(view, bytes.data());
  }

  Rng rng_{7, RngPurpose::test};
};

}  // namespace apprentice::test
