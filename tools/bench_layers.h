#pragma once

#include <string>
#include <vector>

#include <apprentice/packed/packed_network.h>
#include <apprentice/tools/table.h>

namespace apprentice::tools {

/// What one layer of a packed network took, threads that ran apart from one another added up, and
/// where its output lies.
struct LayerTiming {
  packed::LayerInfo info;
  packed::PlannedBlock memory;  ///< for a batch as timed
  double us = 0;                ///< median, an image
  double share = 0;             ///< of all layers
  double gop_s = 0;  ///< 2 x multiply-accumulates, padding counted; 0 where a layer has none
};

/// Runs forwards of x, of the host, for `seconds`, at least `least`.
std::vector<LayerTiming> time_layers(packed::PackedNetwork& network, View4<const float> x,
                                     View2<float> logits, double seconds, int64_t least);
Table layer_table(const std::vector<LayerTiming>& layers);

}  // namespace apprentice::tools
