#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace apprentice::packed {

/// One layer of a packed network, as the file describes it (docs/packed_format.md). Activations are
/// numbered; 0 is the normalised f32 input. Fields that an `op` does not have keep their defaults.
struct Layer {
  std::string op;    ///< "stem", "conv", "max_pool", "global_avg_pool", "linear"
  std::string name;  ///< as in the model's state ("layer1.0.conv1"); prefix of its tensors
  int64_t x = 0, y = 0;

  int64_t in = 0, out = 0;               ///< stem, conv, linear: channels
  std::array<int64_t, 2> kernel{1, 1};   ///< stem, conv, max_pool: (height, width)
  std::array<int64_t, 2> stride{1, 1};   ///< stem, conv, max_pool
  std::array<int64_t, 2> padding{0, 0};  ///< stem, conv, max_pool
  int32_t max_code = 255;                ///< stem, conv: largest output code, 1 to 255
  int32_t zero_point = 0;                ///< conv: 0, or 128 (signed: read as `residual` only)
  std::string weights;                   ///< conv: "ternary", "ttq" (two steps), "int4"
  int64_t residual = -1;                 ///< conv: activation of the shortcut, or -1
  float r = 0;                           ///< conv with shortcut: its step / output step
  float step = 1;                        ///< global_avg_pool: step of the codes of x

  friend bool operator==(const Layer&, const Layer&) = default;
};

/// What the metadata key `apprentice.network` holds.
struct Description {
  int64_t height = 0, width = 0, channels = 0;  ///< of the input image
  /// Only the weights are packed (32A models): there are no layers, eval decodes the weights to
  /// f32.
  bool weights_only = false;
  std::vector<Layer> layers;  ///< in the order of computation

  friend bool operator==(const Description&, const Description&) = default;
};

/// Metadata key of the network and of the format, and the format's value.
inline constexpr const char* kNetworkKey = "apprentice.network";
inline constexpr const char* kFormatKey = "format";
inline constexpr const char* kFormat = "apprentice-packed";
inline constexpr const char* kSchemaKey = "apprentice.schema";
inline constexpr const char* kSchema = "1";

/// JSON text; floats read back to the same f32. The same description gives the same text.
std::string to_json(const Description& description);
/// The reverse. DamagedFile naming `file`, the layer and the field if the text is no valid JSON, a
/// field is missing, unknown, of the wrong type or out of range, a layer reads an activation that
/// is not there yet, or an activation is written twice. Sizes of tensors are checked at load.
Description from_json(const std::string& text, const std::string& file);

}  // namespace apprentice::packed
