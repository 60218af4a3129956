#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <apprentice/quant/prepare.h>

namespace apprentice::quant {

/// The weight of one layer as files hold it.
struct PackedWeight {
  std::string kind;            ///< "ternary", "ttq", "int4"
  std::vector<uint8_t> bytes;  ///< [out, row bytes]
  int64_t row_bytes = 0;
  QuantizedWeight weight;
};
/// CheckFailed naming the layer if its weight is not finite.
PackedWeight packed_weight(const Layer& layer);

/// Metadata key of weights-only files, and its value: kind and logical shape (OHWI) of each packed
/// weight,
/// {"layer1.0.conv1":["ternary",[16,3,3,16]]}.
inline constexpr const char* kWeightsKey = "apprentice.weights";
struct StoredWeight {
  std::string kind;
  Shape shape;
};
std::string weights_to_json(const std::map<std::string, StoredWeight>& weights);
/// DamagedFile naming `file`.
std::map<std::string, StoredWeight> weights_from_json(const std::string& text,
                                                      const std::string& file);

/// What a weights-only file holds beside packed weights and their scales: parameters and buffers
/// that inference needs, each batch norm folded to y = weight x + bias, without running statistics.
nn::StateDict rest_of(nn::Module& model);
/// Adds the running statistics that make such batch norms ordinary ones: mean 0, variance 1 - eps.
void unfold_batch_norms(nn::StateDict& state);

/// CheckFailed naming `name` unless every element is finite (f32; other types pass).
void check_finite(const std::string& name, const Tensor& tensor);

}  // namespace apprentice::quant
