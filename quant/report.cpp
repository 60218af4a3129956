#include <apprentice/quant/report.h>

#include <algorithm>
#include <cctype>
#include <map>

#include <apprentice/base/error.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/packed/description.h>
#include <apprentice/quant/model_file.h>
#include <apprentice/quant/packed_weight_internal.h>

namespace apprentice::quant {
namespace {

/// Batch norm has four values a channel; a packed layer folds them into a and b.
constexpr int64_t kBatchNormValues = 4;

struct Entry {
  std::map<std::string, const TensorInfo*> tensors;  ///< by suffix
};

std::map<std::string, Entry> by_layer(const SafetensorsFile& file) {
  std::map<std::string, Entry> all;
  for (const TensorInfo& tensor : file.tensors()) {
    const size_t dot = tensor.name.rfind('.');
    const std::string layer = dot == std::string::npos ? "" : tensor.name.substr(0, dot);
    all[layer].tensors[dot == std::string::npos ? tensor.name : tensor.name.substr(dot + 1)] =
        &tensor;
  }
  return all;
}

/// "F32" -> "f32"
std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

int64_t count(const Entry& entry, const std::string& suffix) {
  const auto it = entry.tensors.find(suffix);
  return it == entry.tensors.end() ? 0 : it->second->shape.numel();
}

/// Values that the layer has as an f32 model, quantizer state left out.
int64_t f32_values(const Entry& entry, int64_t weights) {
  const int64_t values = weights + count(entry, "bias") + kBatchNormValues * count(entry, "a");
  const auto weight = entry.tensors.find("weight");
  const bool batch_norm = weight != entry.tensors.end() && weight->second->shape.rank() == 1;
  return batch_norm ? kBatchNormValues * weights : values;
}

/// What the metadata says of packed weights: kind and number of codes.
std::map<std::string, StoredWeight> packed_weights(const SafetensorsFile& file) {
  const std::string network = file.metadata(packed::kNetworkKey);
  if (network.empty()) return {};
  const packed::Description description = packed::from_json(network, file.name());
  if (description.weights_only) return weights_from_json(file.metadata(kWeightsKey), file.name());
  std::map<std::string, StoredWeight> weights;
  for (const packed::Layer& layer : description.layers)
    if (!layer.weights.empty())
      weights[layer.name] = {layer.weights,
                             {layer.out, layer.kernel[0], layer.kernel[1], layer.in}};
  return weights;
}

LayerSize size_of_layer(const std::string& name, const Entry& entry,
                        const std::map<std::string, StoredWeight>& packed) {
  LayerSize size;
  size.name = name;
  for (const auto& [suffix, tensor] : entry.tensors) size.bytes += int64_t(tensor->data.size());
  if (const auto it = packed.find(name); it != packed.end()) {
    size.type = it->second.kind;
    size.weights = it->second.shape.numel();
  } else if (const auto weight = entry.tensors.find("weight"); weight != entry.tensors.end()) {
    size.type = lower(weight->second->dtype);
    size.weights = weight->second->shape.numel();
  }
  if (size.weights > 0) size.bits_per_weight = 8.0 * double(size.bytes) / double(size.weights);
  return size;
}

/// In the order in which the network computes, where the file tells it.
void sort_by_network(const SafetensorsFile& file, std::vector<LayerSize>& layers) {
  const std::string network = file.metadata(packed::kNetworkKey);
  if (network.empty()) return;
  std::map<std::string, size_t> place;
  for (const packed::Layer& layer : packed::from_json(network, file.name()).layers)
    place.emplace(layer.name, place.size());
  std::stable_sort(layers.begin(), layers.end(), [&](const LayerSize& a, const LayerSize& b) {
    return place[a.name] < place[b.name];
  });
}

}  // namespace

SizeReport size_report(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(model_path(path));
  const auto packed = packed_weights(file);
  SizeReport report;
  report.file_bytes = int64_t(file.bytes());
  for (const auto& [name, entry] : by_layer(file)) {
    const LayerSize size = size_of_layer(name, entry, packed);
    report.weights += size.weights;
    report.data_bytes += size.bytes;
    report.f32_bytes += 4 * f32_values(entry, size.weights);
    report.layers.push_back(size);
  }
  sort_by_network(file, report.layers);
  if (report.data_bytes > 0)
    report.compression = double(report.f32_bytes) / double(report.data_bytes);
  return report;
}

}  // namespace apprentice::quant
