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
  std::map<std::string, std::string> metadata;  ///< further keys, of model files only
};

/// Images that a packed network takes, in pixels.
struct PackOptions {
  int64_t height = 32, width = 32, channels = 3;
};

/// Writes the packed form of `model` (docs/packed_format.md) to `path`, exactly: codes, scales and
/// epilogue constants are those that eval mode uses. How layers follow each other is read off one
/// eval forward of a random image, on which the packed network, too, is run before anything is
/// written: its logits must be the same bits. Without activation quantizers the weights alone are
/// packed. ConfigError naming the layer that does not fit: f32 layers among quantized ones, a
/// quantized stem or classifier beside quantized activations, groups or dilation. CheckFailed for
/// weights that are not finite, and if the logits differ. CannotCreate or IoError if the file
/// cannot be written.
void pack(nn::TensorModule& model, const ModelInfo& info, const std::string& path,
          const PackOptions& options = {});

/// The bytes of that file, unwritten, for a model whose activations are quantized.
std::string packed_bytes(nn::TensorModule& model, const ModelInfo& info,
                         const PackOptions& options = {});

/// A model file's state from a file with packed weights alone: `L.weight` = scale * code in f32,
/// folded batch norms with mean 0 and variance 1 - eps, all else and the metadata as they are.
/// DamagedFile naming file and tensor.
State unpack_weights(const std::string& path);

}  // namespace apprentice::quant
