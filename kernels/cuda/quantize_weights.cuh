#pragma once

#include <apprentice/kernels/quantize_weights.h>
#include <apprentice/kernels/cuda/reduce_team_internal.cuh>
#include <apprentice/kernels/cuda/tensor_list_internal.cuh>

// A row of a weight is one part, or is cut into several where it is long; blocks take parts of the
// list, part, part + blocks, ... Where no row is cut, one launch does everything, each block its
// row in two passes. Else three launches do it for all weights together: sizes of the parts, codes
// and sums of the parts, scales; what belongs to a row is folded from its parts in a fixed order.
namespace apprentice::kernels::SIMT_NS {

/// Elements of a part: 32 for each thread.
inline constexpr int64_t kWeightPart = 32 * kTeamBlock;

/// What is known of one part of a row.
struct WeightPart {
  double size;  ///< sum or largest of |w|
  double sum;   ///< of |w| where the code is not 0
  int64_t count;
};

struct WeightEntry {
  QuantizeWeights::Weight weight;
  int64_t parts_each = 0;  ///< of a row
  WeightPart* parts = nullptr;

  uint32_t chunks() const { return uint32_t(weight.w.size(0) * parts_each); }
  SIMT_HD bool is_uniform() const { return weight.rule == QuantizeWeights::Rule::uniform; }
  SIMT_HD bool is_cut() const { return parts_each > 1 && !is_uniform(); }
};
using WeightList = EntryList<WeightEntry>;

/// Elements [begin, end) of a row, its part number `part`.
struct RowPart {
  int64_t at, row, part, begin, end;

  SIMT_FN RowPart(const WeightList& list, int entry, uint32_t chunk)
      : at(chunk - list.first_chunk[entry]),
        row(at / list.entries[entry].parts_each),
        part(at % list.entries[entry].parts_each),
        begin(part * kWeightPart) {
    const int64_t k = list.entries[entry].weight.w.size(1);
    end = begin + kWeightPart < k ? begin + kWeightPart : k;
  }
};

SIMT_FN double combine_sizes(QuantizeWeights::Rule rule, double a, double b) {
  return rule == QuantizeWeights::Rule::mean ? a + b : a > b ? a : b;
}
SIMT_FN double size_of_team(QuantizeWeights::Rule rule, double size) {
  return rule == QuantizeWeights::Rule::mean
             ? BlockTeam::sum(size)
             : BlockTeam::all(size, [](double a, double b) { return a > b ? a : b; });
}

/// Sum or largest of |w| of a part, for all threads of the block.
SIMT_FN double size_of_part(const QuantizeWeights::Weight& a, const RowPart& own) {
  double size = 0;
  for (int64_t j = own.begin + threadIdx.x; j < own.end; j += kTeamBlock)
    size = combine_sizes(a.rule, size, fabs(double(a.w(own.row, j))));
  return size_of_team(a.rule, size);
}

/// The same of the row that the part is of.
SIMT_FN double size_of_row(const WeightEntry& entry, const RowPart& own) {
  if (!entry.is_cut()) return size_of_part(entry.weight, own);
  const WeightPart* parts = entry.parts + own.row * entry.parts_each;
  double size = 0;
  for (int64_t i = threadIdx.x; i < entry.parts_each; i += kTeamBlock)
    size = combine_sizes(entry.weight.rule, size, parts[i].size);
  return size_of_team(entry.weight.rule, size);
}

SIMT_FN float threshold_of(const QuantizeWeights::Weight& a, double size) {
  const bool mean = a.rule == QuantizeWeights::Rule::mean;
  return float(a.factor * double(float(mean ? size / double(a.w.size(1)) : size)));
}

SIMT_FN float code_of(const QuantizeWeights::Weight& a, float w, float threshold) {
  if (a.rule != QuantizeWeights::Rule::uniform)
    return w > threshold ? 1.0f : w < -threshold ? -1.0f : 0.0f;
  const auto limit = float(a.factor);
  const float t = w * limit;
  return !(t > -limit) ? -limit : t > limit ? limit : rintf(t) + 0.0f;
}

SIMT_FN int sign_of(float code) { return code > 0 ? 1 : code < 0 ? -1 : 0; }

SIMT_FN void store_scale(const QuantizeWeights::Weight& a, int64_t row, double sum, int64_t n) {
  if (!a.scale) return;
  const double scale = a.rule == QuantizeWeights::Rule::uniform ? 1 / a.factor
                       : n                                      ? sum / double(n)
                                                                : 1.0;
  a.scale(row) = float(scale);
}

SIMT_FN void add_to(int64_t* count, int64_t n) {
  using Word = unsigned long long;
  simt::atomic_add(reinterpret_cast<Word*>(count), Word(n));
}

/// First of three launches: sizes of the parts of rows that are cut.
SIMT_KERNEL_BOUNDS(kTeamBlock, 4) weight_sizes_kernel(SIMT_GRID_CONSTANT const WeightList list) {
  for (uint32_t chunk = blockIdx.x; chunk < list.chunks(); chunk += gridDim.x) {
    const int index = list.entry_of(chunk);
    const WeightEntry& entry = list.entries[index];
    if (!entry.is_cut()) continue;
    const RowPart own(list, index, chunk);
    const double size = size_of_part(entry.weight, own);
    if (threadIdx.x == 0) entry.parts[own.at].size = size;
  }
}

/// Second, or only one: codes and counts; scales of rows that are not cut.
SIMT_KERNEL_BOUNDS(kTeamBlock, 4) weight_codes_kernel(SIMT_GRID_CONSTANT const WeightList list) {
  const auto add = [](int x, int y) { return x + y; };
  for (uint32_t chunk = blockIdx.x; chunk < list.chunks(); chunk += gridDim.x) {
    const int index = list.entry_of(chunk);
    const WeightEntry& entry = list.entries[index];
    const QuantizeWeights::Weight& a = entry.weight;
    const RowPart own(list, index, chunk);
    const float t = entry.is_uniform() ? 0.0f : threshold_of(a, size_of_row(entry, own));
    double sum = 0;
    int zeros = 0, flips = 0;
    for (int64_t j = own.begin + threadIdx.x; j < own.end; j += kTeamBlock) {
      const float w = a.w(own.row, j), code = code_of(a, w, t);
      zeros += code == 0 ? 1 : 0;
      if (a.flips) flips += sign_of(code) != sign_of(a.codes(own.row, j)) ? 1 : 0;
      if (code != 0) sum += fabs(double(w));
      a.codes(own.row, j) = code;
    }
    sum = BlockTeam::sum(sum);
    zeros = BlockTeam::all(zeros, add);
    if (a.flips) flips = BlockTeam::all(flips, add);
    if (threadIdx.x != 0) continue;
    const int64_t count = own.end - own.begin - zeros;
    if (entry.is_cut())
      entry.parts[own.at].sum = sum, entry.parts[own.at].count = count;
    else if (own.part == 0)
      store_scale(a, own.row, sum, count);
    if (a.zeros) add_to(a.zeros.data, zeros);
    if (a.flips) add_to(a.flips.data, flips), add_to(a.flips.data + 1, own.end - own.begin);
  }
}

/// Third: the scale of a row that is cut, by the first warp of the block of its first part.
SIMT_KERNEL_BOUNDS(kTeamBlock, 4) weight_scales_kernel(SIMT_GRID_CONSTANT const WeightList list) {
  if (threadIdx.x >= 32) return;
  for (uint32_t chunk = blockIdx.x; chunk < list.chunks(); chunk += gridDim.x) {
    const int index = list.entry_of(chunk);
    const WeightEntry& entry = list.entries[index];
    const RowPart own(list, index, chunk);
    if (!entry.is_cut() || own.part != 0) continue;
    const WeightPart* parts = entry.parts + own.at;
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = threadIdx.x; i < entry.parts_each; i += 32)
      sum += parts[i].sum, count += parts[i].count;
    sum = WarpTeam::sum(sum);
    count = WarpTeam::all(count, [](int64_t x, int64_t y) { return x + y; });
    if (threadIdx.x == 0) store_scale(entry.weight, own.row, sum, count);
  }
}

inline WeightEntry weight_entry(const QuantizeWeights::Weight& weight) {
  const int64_t k = weight.w.size(1);
  return {weight, k > 0 ? (k + kWeightPart - 1) / kWeightPart : 0, nullptr};
}

inline size_t quantize_weights_scratch_bytes(const QuantizeWeights::Args& args) {
  size_t parts = 0;
  for (const auto& weight : args.weights) {
    const WeightEntry entry = weight_entry(weight);
    if (entry.is_cut()) parts += entry.chunks();
  }
  return parts * sizeof(WeightPart);
}

/// `scratch`: quantize_weights_scratch_bytes of device memory.
inline void quantize_weights(const QuantizeWeights::Args& args, void* scratch,
                             simt::Stream stream) {
  auto* parts = static_cast<WeightPart*>(scratch);
  bool cut = false;
  for_entry_lists(
      args.weights.size(),
      [&](size_t i) {
        WeightEntry entry = weight_entry(args.weights[i]);
        if (!entry.is_cut()) return entry;
        cut = true;
        entry.parts = parts;
        parts += entry.chunks();
        return entry;
      },
      [&](const WeightList& list) {
        const auto launch = [&](auto kernel) {
          simt::launch(kernel, list.blocks(), kTeamBlock, 0, stream, list);
        };
        if (cut) launch(weight_sizes_kernel);
        launch(weight_codes_kernel);
        if (cut) launch(weight_scales_kernel);
      });
}

}  // namespace apprentice::kernels::SIMT_NS
