#include <apprentice/quant/packed_weight_internal.h>

#include <cmath>

#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/json_internal.h>
#include <apprentice/kernels/codes.h>

namespace apprentice::quant {
namespace {

template <int Bits>
std::vector<uint8_t> pack_bytes(const std::vector<int8_t>& codes, int64_t rows) {
  const int64_t cols = int64_t(codes.size()) / rows;
  std::vector<uint8_t> bytes(size_t(rows * kernels::packed_row_bytes(Bits, cols)));
  kernels::pack_codes<Bits>({codes.data(), {rows, cols}}, bytes.data());
  return bytes;
}

}  // namespace

void check_finite(const std::string& name, const Tensor& tensor) {
  if (tensor.dtype() != Dtype::f32) return;
  const float* value = tensor.data<float>();
  for (int64_t i = 0, n = tensor.numel(); i < n; ++i)
    check<CheckFailed>(std::isfinite(value[i]), "{}: element {} is {}, expected a finite number",
                       name, i, value[i]);
}

PackedWeight packed_weight(const Layer& layer) {
  const Tensor w = layer.module->parameter("weight").detach();
  check_finite(layer.name + ".weight", w);
  const auto quantizer = layer.weights();
  PackedWeight packed;
  packed.weight = quantizer->quantize(w);
  check_finite(layer.name + ".weight_scale", packed.weight.scale);
  const bool two_steps = packed.weight.scale_negative.defined();
  if (two_steps) check_finite(layer.name + ".weight_scale_neg", packed.weight.scale_negative);
  const auto codes = packed.weight.codes.to_vector<int8_t>();
  const int64_t rows = w.size(0);
  const bool ternary = quantizer->bits() == 2;
  packed.kind = !ternary ? "int4" : two_steps ? "ttq" : "ternary";
  packed.bytes = ternary ? pack_bytes<2>(codes, rows) : pack_bytes<4>(codes, rows);
  packed.row_bytes = int64_t(packed.bytes.size()) / rows;
  return packed;
}

std::string weights_to_json(const std::map<std::string, StoredWeight>& weights) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, weight] : weights)
    object[name] = {weight.kind, std::vector<int64_t>(weight.shape.begin(), weight.shape.end())};
  return object.dump();
}

std::map<std::string, StoredWeight> weights_from_json(const std::string& text,
                                                      const std::string& file) {
  const std::string what = fmt::format("{}: {}", file, kWeightsKey);
  const nlohmann::json object = parse_json(text, what);
  check<DamagedFile>(object.is_object(), "{}: expected an object", what);
  std::map<std::string, StoredWeight> weights;
  for (const auto& [name, entry] : object.items()) {
    const bool pair = entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
                      entry[1].is_array() && entry[1].size() >= 2 &&
                      entry[1].size() <= size_t(Shape::kMaxRank);
    check<DamagedFile>(pair, "{}: {} is {}, expected [kind, shape]", what, name, entry.dump());
    StoredWeight weight{entry[0].get<std::string>(), {}};
    for (const nlohmann::json& size : entry[1]) {
      const bool fits = size.is_number_integer() && size > 0 && size < int64_t(1) << 31;
      check<DamagedFile>(fits, "{}: {} has a size of {}", what, name, size.dump());
      weight.shape.push_back(size.get<int64_t>());
    }
    weights.emplace(name, weight);
  }
  return weights;
}

}  // namespace apprentice::quant
