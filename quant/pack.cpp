#include <apprentice/quant/pack.h>

#include <algorithm>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/nn/on_device.h>
#include <apprentice/quant/pack_internal.h>
#include <apprentice/quant/packed_weight_internal.h>
#include <apprentice/quant/prepare.h>

namespace apprentice::quant {
namespace {

Tensor bytes_tensor(const PackedWeight& weight, int64_t rows) {
  return Tensor::from(weight.bytes, {rows, weight.row_bytes});
}

void pack_weights(nn::TensorModule& model, const ModelInfo& info, const std::string& path) {
  packed::Description network;
  network.weights_only = true;
  State state{rest_of(model), metadata_of(info, network)};
  std::map<std::string, StoredWeight> stored;
  for (const Layer& layer : layers(model)) {
    if (!layer.weights()) continue;
    const Shape shape = layer.module->parameter("weight").shape();
    const PackedWeight weight = packed_weight(layer);
    state.tensors[layer.name + ".weight_packed"] = bytes_tensor(weight, shape[0]);
    state.tensors[layer.name + ".weight_scale"] = weight.weight.scale;
    if (weight.weight.scale_negative)
      state.tensors[layer.name + ".weight_scale_neg"] = weight.weight.scale_negative;
    stored[layer.name] = {weight.kind, shape};
  }
  for (const auto& [name, tensor] : state.tensors) check_finite(name, tensor);
  state.metadata[kWeightsKey] = weights_to_json(stored);
  save_state(path, state);
}

}  // namespace

std::map<std::string, std::string> metadata_of(const ModelInfo& info,
                                               const packed::Description& network) {
  return {{packed::kFormatKey, packed::kFormat},
          {packed::kSchemaKey, packed::kSchema},
          {"arch", info.arch},
          {"apprentice.quant", to_json(info.policy)},
          {packed::kNetworkKey, packed::to_json(network)}};
}

void pack(nn::TensorModule& model, const ModelInfo& info, const std::string& path,
          const PackOptions& options) {
  const nn::OnDevice on_host(model, Device{});
  const std::vector<Layer> all = layers(model);
  const bool weights =
      std::any_of(all.begin(), all.end(), [](const Layer& l) { return !!l.weights(); });
  const bool activations =
      std::any_of(all.begin(), all.end(), [](const Layer& l) { return !!l.activations(); });
  check<ConfigError>(weights, "pack: no weight of the model is quantized, expected quant.weights");
  if (activations)
    write_file_durably(path, packed_bytes(model, info, options));
  else
    pack_weights(model, info, path);
}

}  // namespace apprentice::quant
