#pragma once

#include <apprentice/kernels/cpu/simd_table_internal.h>

namespace apprentice::kernels {

/// Some rows of an OrderedLinear, for the outputs of one panel.
struct OrderedLinearBlock {
  const float* x;      ///< [rows, depth]
  const float* panel;  ///< bias [panel outputs], weights [depth, panel outputs]; zero where padded
  float* y;            ///< the panel's first output of the first row
  int64_t rows, depth;
  int64_t outputs;  ///< of the panel, that there are
  int64_t y_step;   ///< from one row of y to the next
};

struct OrderedLinearSimd {
  int64_t panel_outputs;
  void (*block)(const OrderedLinearBlock&);
};

APPRENTICE_SIMD_TABLE(OrderedLinearSimd, ordered_linear)

}  // namespace apprentice::kernels
