#pragma once

#include <cmath>
#include <vector>

#include <apprentice/kernels/quantize_weights.h>
#include <apprentice/kernels/cuda/reduce_team_internal.cuh>
#include <apprentice/kernels/cuda/tensor_list_internal.cuh>

// Launches that make the elements of many tensors and, of those that are quantized, the codes,
// scales and counts. How elements come about is a Source: as they are (quantize_weights.cuh), or
// moved by an optimizer (optimizer.cuh).
//
// Blocks take parts of rows, part, part + blocks, ... of the list; thread t of a block the fours t,
// t + threads, ... of a part. A row of up to kWeightPart elements is one part: its block makes the
// elements and, with the row in its cache, goes on to codes, counts and scale, so one launch does
// everything. A longer row is cut, and its first launch leaves the sizes of the parts in scratch
// memory; a second launch folds them to the threshold and makes the codes, and the block that is
// the last to be done with a row folds the parts to its scale. Whatever is folded is folded in an
// order that follows from the shape alone.
namespace apprentice::kernels::SIMT_NS {

static_assert(kListThreads == kTeamBlock);

/// Elements of a part: 32 for each thread.
inline constexpr int64_t kWeightPart = 32 * kListThreads;

/// What is known of a part of a row that is cut.
struct WeightPart {
  double size;    ///< sum or largest of |w|
  double sum;     ///< of |w| where the code is not 0
  int64_t count;  ///< of those codes
  unsigned done;  ///< in a row's first part: how many of its parts have sum and count
};

/// The rows of a tensor; one, of which nothing is made, where `codes` is null.
struct RowsEntry {
  using Rule = QuantizeWeights::Rule;
  int64_t rows = 1, k = 0;
  const float* w = nullptr;
  float *codes = nullptr, *scale = nullptr;
  int64_t *zeros = nullptr, *flips = nullptr;
  WeightPart* parts = nullptr;
  double factor = 1;
  Rule rule = Rule::mean;

  SIMT_HD int64_t part_length() const { return codes ? kWeightPart : int64_t(kListChunk); }
  SIMT_HD int64_t parts_each() const { return (k + part_length() - 1) / part_length(); }
  SIMT_HD bool is_uniform() const { return rule == Rule::uniform; }
  /// Must something be known of all parts of a row before it has codes?
  SIMT_HD bool is_cut() const { return codes && !is_uniform() && parts_each() > 1; }
  uint32_t chunks() const { return uint32_t(rows * parts_each()); }
};

inline RowsEntry rows_entry(int64_t elements) { return {.k = elements}; }
inline RowsEntry rows_entry(const QuantizeWeights::Weight& weight) {
  return {.rows = weight.w.size(0),
          .k = weight.w.size(1),
          .w = weight.w.data,
          .codes = weight.codes.data,
          .scale = weight.scale.data,
          .zeros = weight.zeros.data,
          .flips = weight.flips.data,
          .factor = weight.factor,
          .rule = weight.rule};
}

/// Elements [begin, end) of a row, which begins at element `first` of its tensor.
struct RowPart {
  int64_t row, part, first, begin, end;

  SIMT_FN RowPart(const RowsEntry& a, uint32_t chunk) {
    const auto parts = uint32_t(a.parts_each());
    row = chunk / parts, part = chunk % parts;
    first = row * a.k, begin = part * a.part_length();
    end = begin + a.part_length() < a.k ? begin + a.part_length() : a.k;
  }
};
SIMT_FN WeightPart* parts_of_row(const RowsEntry& a, const RowPart& own) {
  return a.parts + own.row * a.parts_each();
}

SIMT_FN double combine_sizes(const RowsEntry& a, double x, double y) {
  return a.rule == QuantizeWeights::Rule::mean ? x + y : x > y ? x : y;
}
SIMT_FN double size_of_team(const RowsEntry& a, double size) {
  return a.rule == QuantizeWeights::Rule::mean
             ? BlockTeam::sum(size)
             : BlockTeam::all(size, [](double x, double y) { return x > y ? x : y; });
}
/// Of a row that is cut, for all threads of the block.
SIMT_FN double size_of_row(const RowsEntry& a, const RowPart& own) {
  const WeightPart* parts = parts_of_row(a, own);
  double size = 0;
  for (int64_t i = threadIdx.x; i < a.parts_each(); i += kTeamBlock)
    size = combine_sizes(a, size, parts[i].size);
  return size_of_team(a, size);
}

SIMT_FN float threshold_of(const RowsEntry& a, double size) {
  if (a.is_uniform()) return 0;
  const bool mean = a.rule == QuantizeWeights::Rule::mean;
  return float(a.factor * double(float(mean ? size / double(a.k) : size)));
}

SIMT_FN float code_of(const RowsEntry& a, float w, float threshold) {
  if (!a.is_uniform()) return w > threshold ? 1.0f : w < -threshold ? -1.0f : 0.0f;
  const auto limit = float(a.factor);
  const float t = w * limit;
  return !(t > -limit) ? -limit : t > limit ? limit : rintf(t) + 0.0f;
}

SIMT_FN int sign_of(float code) { return code > 0 ? 1 : code < 0 ? -1 : 0; }

SIMT_FN void store_scale(const RowsEntry& a, int64_t row, double sum, int64_t count) {
  if (!a.scale) return;
  const double mean = count ? sum / double(count) : 1.0;
  a.scale[row] = float(a.is_uniform() ? 1 / a.factor : mean);
}

SIMT_FN void add_to(int64_t* count, int64_t n) {
  using Word = unsigned long long;
  simt::atomic_add(reinterpret_cast<Word*>(count), Word(n));
}

/// The scale of a row that is cut, by the last of its blocks; `sum` and `count` are thread 0's.
SIMT_FN void finish_cut_row(const RowsEntry& a, const RowPart& own, double sum, int64_t count) {
  WeightPart* parts = parts_of_row(a, own);
  SIMT_SHARED(bool, last, 1);
  if (threadIdx.x == 0) {
    parts[own.part].sum = sum, parts[own.part].count = count;
    simt::fence_device();
    last[0] = simt::atomic_add(&parts[0].done, 1u) + 1 == unsigned(a.parts_each());
    simt::fence_device();
  }
  simt::sync_block();
  const bool is_last = last[0];
  simt::sync_block();  // the next part overwrites it
  if (!is_last) return;
  sum = 0, count = 0;
  for (int64_t i = threadIdx.x; i < a.parts_each(); i += kTeamBlock)
    sum += parts[i].sum, count += parts[i].count;
  sum = BlockTeam::sum(sum);
  count = BlockTeam::all(count, [](int64_t x, int64_t y) { return x + y; });
  if (threadIdx.x == 0) store_scale(a, own.row, sum, count);
}

/// Codes and counts of a part, whose row has this size, and the scale of a row that ends with it.
SIMT_FN void make_codes(const RowsEntry& a, const RowPart& own, double size) {
  const auto add = [](int x, int y) { return x + y; };
  const float threshold = threshold_of(a, size);
  float* codes = a.codes + own.first;
  double sum = 0;
  int zeros = 0, flips = 0;
  for (int64_t at = own.begin + 4 * threadIdx.x; at < own.end; at += 4 * kListThreads) {
    const Four w = load_four(a.w + own.first, at, own.end);
    Four four = a.flips ? load_four(codes, at, own.end) : Four{};
    SIMT_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (at + i >= own.end) continue;
      const float code = code_of(a, w.v[i], threshold);
      zeros += code == 0 ? 1 : 0;
      flips += sign_of(code) != sign_of(four.v[i]) ? 1 : 0;
      if (code != 0) sum += fabs(double(w.v[i]));
      four.v[i] = code;
    }
    store_four(codes, at, own.end, four);
  }
  sum = BlockTeam::sum(sum);
  zeros = BlockTeam::all(zeros, add);
  if (a.flips) flips = BlockTeam::all(flips, add);
  const int64_t n = own.end - own.begin;
  if (threadIdx.x == 0) {
    if (a.zeros) add_to(a.zeros, zeros);
    if (a.flips) add_to(a.flips, flips), add_to(a.flips + 1, n);
    if (!a.is_cut() && own.part == 0) store_scale(a, own.row, sum, n - zeros);
  }
  if (a.is_cut()) finish_cut_row(a, own, sum, n - zeros);
}

template <class Source>
struct SourceEntry {
  typename Source::Entry tensor;
  RowsEntry rows;
  uint32_t chunks() const { return rows.chunks(); }
};

/// First, or only: elements, and what follows from them of rows that are not cut; of the others the
/// sizes of parts.
template <class Source>
SIMT_KERNEL_BOUNDS(kListThreads, 4)
make_weights_kernel(SIMT_GRID_CONSTANT const EntryList<SourceEntry<Source>> list, Source source) {
  const auto now = source.now();
  for (uint32_t chunk = blockIdx.x; chunk < list.chunks(); chunk += gridDim.x) {
    const int index = list.entry_of(chunk);
    const RowsEntry& a = list.entries[index].rows;
    const RowPart own(a, chunk - list.first_chunk[index]);
    const bool sized = a.codes && !a.is_uniform();
    double size = 0;
    for (int64_t at = own.begin + 4 * threadIdx.x; at < own.end; at += 4 * kListThreads) {
      const Four w = source.four(list.entries[index].tensor, now, own.first, at, own.end);
      SIMT_UNROLL
      for (int i = 0; i < 4; ++i)
        if (sized && at + i < own.end) size = combine_sizes(a, size, fabs(double(w.v[i])));
    }
    if (!a.codes) continue;
    if (sized) size = size_of_team(a, size);
    if (!a.is_cut()) {
      make_codes(a, own, size);
    } else if (threadIdx.x == 0) {
      WeightPart& part = parts_of_row(a, own)[own.part];
      part.size = size, part.done = 0;
    }
  }
}

/// Second: codes, counts and scales of rows that are cut.
SIMT_KERNEL_BOUNDS(kListThreads, 4)
cut_rows_kernel(SIMT_GRID_CONSTANT const EntryList<RowsEntry> list) {
  for (uint32_t chunk = blockIdx.x; chunk < list.chunks(); chunk += gridDim.x) {
    const int index = list.entry_of(chunk);
    const RowsEntry& a = list.entries[index];
    const RowPart own(a, chunk - list.first_chunk[index]);
    make_codes(a, own, size_of_row(a, own));
  }
}

/// Of the scratch memory that rows take.
inline size_t scratch_bytes(const RowsEntry& a) {
  return a.is_cut() ? a.chunks() * sizeof(WeightPart) : 0;
}

/// Launches for the tensors make(i) of all i below `count`; `scratch`: the sum of their
/// scratch_bytes, of device memory.
template <class Source, class Make>
void make_weights(size_t count, const Make& make, const Source& source, void* scratch,
                  simt::Stream stream) {
  using Entry = SourceEntry<Source>;
  auto* parts = static_cast<WeightPart*>(scratch);
  std::vector<RowsEntry> cut;
  for_entry_lists(
      count,
      [&](size_t i) {
        Entry entry = make(i);
        if (entry.rows.is_cut()) {
          entry.rows.parts = parts;
          parts += entry.rows.chunks();
          cut.push_back(entry.rows);
        }
        return entry;
      },
      [&](const EntryList<Entry>& list) {
        simt::launch(make_weights_kernel<Source>, list.blocks(), kListThreads, 0, stream, list,
                     source);
      });
  for_entry_lists(
      cut.size(), [&](size_t i) { return cut[i]; },
      [&](const EntryList<RowsEntry>& list) {
        simt::launch(cut_rows_kernel, list.blocks(), kListThreads, 0, stream, list);
      });
}

}  // namespace apprentice::kernels::SIMT_NS
