#include <apprentice/base/error.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/packed/description.h>
#include <apprentice/quant/pack.h>
#include <apprentice/quant/packed_weight_internal.h>
#include <apprentice/quant/unpack_internal.h>

namespace apprentice::quant {
namespace {

Tensor take(State& state, const std::string& path, const std::string& name, Dtype dtype) {
  const auto it = state.tensors.find(name);
  check<DamagedFile>(it != state.tensors.end(), "{}: tensor '{}' is missing", path, name);
  Tensor tensor = it->second;
  check<DamagedFile>(tensor.dtype() == dtype, "{}: tensor '{}' is {}, expected {}", path, name,
                     name_of(tensor.dtype()), name_of(dtype));
  state.tensors.erase(it);
  return tensor;
}

Tensor take_scale(State& state, const std::string& path, const std::string& name, int64_t rows) {
  const Tensor scale = take(state, path, name, Dtype::f32);
  const bool fits = scale.shape() == Shape{1} || scale.shape() == Shape{rows};
  check<DamagedFile>(fits, "{}: tensor '{}' is {}, expected [1] or [{}]", path, name,
                     scale.shape().str(), rows);
  return scale;
}

template <int Bits>
Tensor unpack_codes(const Tensor& bytes, const Shape& shape, const std::string& what) {
  const int64_t rows = shape[0], cols = shape.numel() / rows;
  const kernels::PackedCodes<Bits> packed{bytes.data<uint8_t>(), rows, cols};
  const Shape expected{rows, packed.row_bytes()};
  check<DamagedFile>(bytes.shape() == expected, "{}: shape is {}, expected {}", what,
                     bytes.shape().str(), expected.str());
  kernels::check_codes<Bits>(packed, what);
  Tensor codes = Tensor::empty(shape, Dtype::i8);
  kernels::unpack_codes<Bits>(packed, {codes.data<int8_t>(), {rows, cols}});
  return codes.to(Dtype::f32);
}

QuantizedWeight take_weight(State& state, const std::string& path, const std::string& layer,
                            const StoredWeight& stored) {
  const std::string name = layer + ".weight_packed";
  const std::string what = fmt::format("{}: tensor '{}'", path, name);
  const bool ternary = stored.kind == "ternary" || stored.kind == "ttq";
  check<DamagedFile>(ternary || stored.kind == "int4",
                     "{}: kind is '{}', expected ternary, ttq or int4", what, stored.kind);
  const Tensor bytes = take(state, path, name, Dtype::u8);
  QuantizedWeight weight;
  weight.codes = ternary ? unpack_codes<2>(bytes, stored.shape, what)
                         : unpack_codes<4>(bytes, stored.shape, what);
  weight.max_code = ternary ? 1 : 7;
  weight.scale = take_scale(state, path, layer + ".weight_scale", stored.shape[0]);
  if (stored.kind == "ttq")
    weight.scale_negative = take_scale(state, path, layer + ".weight_scale_neg", 1);
  return weight;
}

}  // namespace

UnpackedFile read_packed_weights(const std::string& path) {
  UnpackedFile file{load_state(path), {}};
  State& state = file.rest;
  check<DamagedFile>(state.metadata[packed::kFormatKey] == packed::kFormat &&
                         packed::from_json(state.metadata[packed::kNetworkKey], path).weights_only,
                     "{}: not a file of packed weights alone", path);
  const auto entry = state.metadata.find(kWeightsKey);
  check<DamagedFile>(entry != state.metadata.end(), "{}: metadata '{}' is missing", path,
                     kWeightsKey);
  for (const auto& [layer, stored] : weights_from_json(entry->second, path))
    file.weights.emplace(layer, take_weight(state, path, layer, stored));
  return file;
}

State unpack_weights(const std::string& path) {
  auto [state, weights] = read_packed_weights(path);
  for (const auto& [layer, weight] : weights) state.tensors[layer + ".weight"] = dequantize(weight);
  unfold_batch_norms(state.tensors);
  return state;
}

}  // namespace apprentice::quant
