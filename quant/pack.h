#pragma once

#include <map>
#include <string>

#include <apprentice/core/state.h>
#include <apprentice/nn/module.h>
#include <apprentice/quant/policy.h>

namespace apprentice::quant {

/// What goes into the metadata of a model, packed or not.
struct ModelInfo {
  std::string arch;                             ///< the first word names the architecture
  Policy policy;                                ///< written only if it quantizes
  std::map<std::string, std::string> metadata;  ///< further keys
};

struct PackOptions {
  int64_t height = 32, width = 32, channels = 3;  ///< of the images
};

/// Writes the packed form of `model` (docs/packed_format.md) to `path`, exactly: codes, scales and
/// the epilogue constants are those that eval mode uses. How layers follow each other is read off
/// one eval forward of a random image; at the end the written network is run on it, too, and must
/// give the same logits, bit for bit (CheckFailed). Without activation quantizers the weights alone
/// are packed. ConfigError naming the layer that does not fit: a mixture of quantized and f32
/// layers, a quantized stem or classifier, codes that neither 2 nor 4 bits hold. CheckFailed for
/// weights that are not finite. CannotCreate or IoError if the file cannot be written.
void pack(nn::TensorModule& model, const ModelInfo& info, const std::string& path,
          const PackOptions& options = {});

/// A model file's state from a file with packed weights alone: `L.weight` = scale * code in f32,
/// all other tensors as they are. Metadata without the policy. DamagedFile naming the tensor.
State unpack_weights(const std::string& path);

}  // namespace apprentice::quant
