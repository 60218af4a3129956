#pragma once

#include <string>
#include <vector>

namespace apprentice::quant {

/// How one layer is quantized.
struct LayerPolicy {
  std::string weights = "none";  ///< a name of quantizers(), or "none": f32
  int w_bits = 2;
  bool per_channel = false;          ///< one scale an output channel
  std::string activations = "none";  ///< a name of activation_quantizers(), or "none": f32
  int a_bits = 8;
};

/// Another choice for the layers whose name matches a pattern; empty or zero fields change nothing,
/// and another method has one scale a layer.
struct LayerOverride {
  std::string layers;  ///< pattern, * stands for any characters: "layer3.*"
  std::string weights, activations;
  int w_bits = 0, a_bits = 0;
};

/// Which layers of a network are quantized, and how. `keep` names the layers whose weights stay f32
/// (first and last of a CIFAR ResNet by default); activations are quantized at the output of every
/// convolution, the first included, since the second reads those codes. Where a convolution has no
/// ReLU (the projection of a shortcut) its outputs are signed and have 8 bits, whatever a_bits
/// says.
struct Policy {
  LayerPolicy layer;
  std::vector<std::string> keep{"conv1", "linear"};  ///< patterns of layer names
  std::vector<LayerOverride> overrides;              ///< the last that matches wins

  /// Does it quantize anything?
  bool quantizes() const;
};

/// What holds for the layer of that name, `keep` and overrides applied.
LayerPolicy policy_for(const Policy& policy, const std::string& layer);

/// ConfigError naming key, value and what is allowed: unknown methods (with the nearest name), bits
/// that a method does not take, one scale a channel where a method has none, empty patterns.
void validate(const Policy& policy);

/// One line of JSON, as model files hold it under `apprentice.quant`:
///   {"weights":"twn","w_bits":2,"granularity":"layer","activations":"wrpn","a_bits":8,
///    "keep":["conv1","linear"],"overrides":[{"layers":"layer3.*","weights":"wrpn","w_bits":4}]}
std::string to_json(const Policy& policy);
/// The inverse; keys left out have their default. DamagedFile if it is no JSON object, ConfigError
/// naming an unknown key (and the nearest), a value of the wrong kind, or what validate() finds.
Policy policy_from_json(const std::string& text);

/// "8A-2W twn", "32A-2W ttq", "32A-32W": how tables name a policy.
std::string summary(const Policy& policy);

}  // namespace apprentice::quant
