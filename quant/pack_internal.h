#pragma once

#include <map>
#include <string>

#include <apprentice/packed/description.h>
#include <apprentice/quant/pack.h>

namespace apprentice::quant {

/// Metadata of a packed file.
std::map<std::string, std::string> metadata_of(const ModelInfo& info,
                                               const packed::Description& network);

}  // namespace apprentice::quant
