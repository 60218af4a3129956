#pragma once

#include <string>
#include <vector>

namespace apprentice::quant {

/// One layer of a model file and what it takes there.
struct LayerSize {
  std::string name;            ///< "layer1.0.conv1"
  std::string type;            ///< how its weight is stored: "ternary", "int4", "f32"
  int64_t weights = 0;         ///< elements of its weight
  int64_t bytes = 0;           ///< weight, scales and constants
  double bits_per_weight = 0;  ///< 8 bytes / weights, constants included
};

struct SizeReport {
  std::vector<LayerSize> layers;  ///< in the order of execution where the file tells it
  int64_t weights = 0;            ///< of all layers
  int64_t data_bytes = 0;         ///< tensors
  int64_t file_bytes = 0;         ///< with header and metadata
  int64_t f32_bytes = 0;          ///< the same network with every parameter in f32
  double compression = 0;         ///< f32_bytes / data_bytes
};

/// Sizes of a model file or packed file. MissingInput or DamagedFile.
SizeReport size_report(const std::string& path);

}  // namespace apprentice::quant
