#pragma once

#include <map>
#include <string>

#include <apprentice/core/state.h>
#include <apprentice/quant/quantizer.h>

namespace apprentice::quant {

/// A file of packed weights alone.
struct UnpackedFile {
  State rest;                                      ///< all that is not packed, and the metadata
  std::map<std::string, QuantizedWeight> weights;  ///< by layer
};
/// MissingInput, DamagedFile naming file and tensor.
UnpackedFile read_packed_weights(const std::string& path);

}  // namespace apprentice::quant
