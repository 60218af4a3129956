#pragma once

#include <functional>
#include <string>

#include <apprentice/nn/module.h>

namespace apprentice::quant {

/// Gives the next batch of normalised images [n, h, w, c], then an undefined Tensor.
using BatchSource = std::function<Tensor()>;

struct VerifyOptions {
  std::string kernel;             ///< family for the packed network; "": by priority
  bool require_kernel = false;    ///< any other kernel is an error
  Device device = {};             ///< where the packed network runs
  float logit_tolerance = 1e-4f;  ///< of packed weights alone, where sums may differ in order
};

struct VerifyReport {
  bool passed = false;
  bool weights_only = false;  ///< a 32A model: codes and scales compared, then logits in f32
  int64_t images = 0;
  int64_t layers = 0;             ///< compared layers
  int64_t integers = 0;           ///< accumulators and codes compared
  int64_t equal_predictions = 0;  ///< images of the same top class
  double max_logit_error = 0;     ///< 0 means bit-equal
  /// The first difference: "layer2.0.conv1: accumulator [3, 0, 5, 7] is 112, expected 110", or "".
  std::string difference;
  std::string layer;  ///< the layer it lies in, or ""
};

/// Runs the fake-quantized `model` in eval mode and the packed file on every batch and compares,
/// layer by layer in order, integer accumulators, codes, then logits (bit for bit) and predictions.
/// Stops comparing layers at the first difference, and counts predictions to the end. DamagedFile,
/// MissingInput, DeviceError as PackedNetwork gives; ConfigError if the two differ in architecture,
/// or for packed weights alone on another device than the CPU: that file holds no packed network.
VerifyReport verify(nn::TensorModule& model, const std::string& packed_path,
                    const BatchSource& batches, const VerifyOptions& options = {});

}  // namespace apprentice::quant
