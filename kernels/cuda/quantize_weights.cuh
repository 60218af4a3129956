#pragma once

#include <apprentice/kernels/quantize_weights.h>
#include <apprentice/kernels/cuda/quantize_weights_internal.cuh>

// The mapping is that of quantize_weights_internal.cuh: one launch for all weights, two where a row
// is longer than a part.
namespace apprentice::kernels::SIMT_NS {

/// Elements as they are.
struct WeightsSource {
  struct Entry {
    const float* w;
  };
  struct Now {};

  SIMT_FN Now now() const { return {}; }
  SIMT_FN Four four(const Entry& tensor, Now, int64_t first, int64_t at, int64_t end) const {
    return load_four(tensor.w + first, at, end);
  }
};

inline size_t quantize_weights_scratch_bytes(const QuantizeWeights::Args& args) {
  size_t bytes = 0;
  for (const auto& weight : args.weights) bytes += scratch_bytes(rows_entry(weight));
  return bytes;
}

/// `scratch`: quantize_weights_scratch_bytes of device memory.
inline void quantize_weights(const QuantizeWeights::Args& args, void* scratch,
                             simt::Stream stream) {
  make_weights(
      args.weights.size(),
      [&](size_t i) {
        const QuantizeWeights::Weight& weight = args.weights[i];
        return SourceEntry<WeightsSource>{{weight.w.data}, rows_entry(weight)};
      },
      WeightsSource{}, scratch, stream);
}

}  // namespace apprentice::kernels::SIMT_NS
