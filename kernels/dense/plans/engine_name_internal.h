#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace apprentice::kernels::dense {

/// An engine of cuDNN by its number, and its knobs: pairs of a knob's number and its setting.
struct EngineName {
  int64_t engine = 0;
  std::vector<std::pair<int, int64_t>> knobs;

  /// "eng70 k2=4 k18=0", knobs in the order of their numbers.
  std::string text() const;
};
/// DeviceError if it is none.
EngineName parse_engine(std::string_view text);

}  // namespace apprentice::kernels::dense
