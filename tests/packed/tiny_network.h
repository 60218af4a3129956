#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <apprentice/base/rng.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/packed/description.h>

namespace apprentice::test {

/// A packed network small enough to compute by hand: every kind of layer, weight and shortcut.
///   image 9x8x3 -> stem 5 -> ternary 5 (+ nothing) -> int4 9, stride 2 (+ option A of the stem)
///   -> ttq 9 (+ plain) -> pool -> linear 4
struct TinyNetwork {
  packed::Description description;
  std::map<std::string, std::vector<float>> floats;
  std::map<std::string, Shape> shapes;
  std::map<std::string, std::vector<int8_t>> codes;  ///< by layer, OHWI
  std::map<std::string, std::vector<uint8_t>> packed_codes;
  std::map<std::string, std::string> metadata;

  TinyNetwork() {
    description.height = 9, description.width = 8, description.channels = 3;
    add_conv("stem", "conv1", "", 0, 1, 3, 5, 1);
    add_conv("conv", "a", "ternary", 1, 2, 5, 5, 1);
    add_conv("conv", "b", "int4", 2, 3, 5, 9, 2);
    description.layers.back().residual = 1;
    description.layers.back().r = 0.7f;
    add_conv("conv", "c", "ttq", 3, 4, 9, 9, 1);
    description.layers.back().residual = 3;
    description.layers.back().r = 1.3f;
    packed::Layer pool;
    pool.op = "global_avg_pool", pool.name = "pool", pool.x = 4, pool.y = 5, pool.step = 0.0137f;
    description.layers.push_back(pool);
    packed::Layer linear;
    linear.op = "linear", linear.name = "linear", linear.x = 5, linear.y = 6;
    linear.in = 9, linear.out = 4;
    description.layers.push_back(linear);
    add_floats("linear.weight", {4, 9}, 1.0f);
    add_floats("linear.bias", {4}, 1.0f);
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
  void add_floats(const std::string& name, const Shape& shape, float scale, float shift = 0) {
    std::vector<float> values(size_t(shape.numel()));
    for (float& v : values) v = rng_.normal() * scale + shift;
    floats[name] = values;
    shapes[name] = shape;
  }

  void add_conv(const std::string& op, const std::string& name, const std::string& weights,
                int64_t x, int64_t y, int64_t in, int64_t out, int64_t stride) {
    packed::Layer layer;
    layer.op = op, layer.name = name, layer.weights = weights;
    layer.x = x, layer.y = y, layer.in = in, layer.out = out;
    layer.kernel = {3, 3}, layer.stride = {stride, stride}, layer.padding = {1, 1};
    layer.max_code = op == "stem" ? 255 : 15 + 16 * int(y);
    description.layers.push_back(layer);
    if (op == "stem") {
      add_floats(name + ".weight", {out, 3, 3, in}, 1.0f);
      add_floats(name + ".a", {out}, 5.0f, 20.0f);
      add_floats(name + ".b", {out}, 20.0f, 60.0f);
      return;
    }
    add_codes(name, weights, out, 9 * in);
    add_floats(name + ".weight_scale", {1}, 0.0f, 0.1f);
    add_floats(name + ".a", {out}, 0.01f, 0.03f);
    add_floats(name + ".b", {out}, 5.0f, weights == "ttq" ? -30.0f : 20.0f);
    if (weights != "ttq") return;
    add_floats(name + ".weight_scale_neg", {1}, 0.0f, 0.2f);
    add_floats(name + ".a_neg", {out}, 0.01f, 0.03f);
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
