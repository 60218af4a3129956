#pragma once

#include <apprentice/kernels/count.h>
#include <apprentice/kernels/cuda/reduce_team_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

SIMT_FN int sum_of_block(int v) {
  return BlockTeam::all(v, [](int a, int b) { return a + b; });
}

/// One block, a warp a row: the largest value first, then the first place that holds it.
SIMT_KERNEL_BOUNDS(kTeamBlock, 2) count_correct_kernel(CountCorrect<float>::Args a) {
  const int rows = int(a.logits.size(0)), classes = int(a.logits.size(1));
  int correct = 0;
  for (int row = int(WarpTeam::first_row()); row < rows; row += WarpTeam::kPerBlock) {
    const float* values = a.logits.data + int64_t(row) * classes;
    float top = values[0];
    for (int j = WarpTeam::rank(); j < classes; j += 32) top = values[j] > top ? values[j] : top;
    top = WarpTeam::largest(top);
    int at = classes;
    for (int j = WarpTeam::rank(); j < classes && at == classes; j += 32)
      if (values[j] == top) at = j;
    at = WarpTeam::all(at, [](int u, int v) { return u < v ? u : v; });
    correct += WarpTeam::rank() == 0 && int64_t(at) == a.labels(row);
  }
  correct = sum_of_block(correct);
  if (threadIdx.x == 0) a.count(0) = float(correct);
}

/// A block a part, kTeamBlock / kBlock sampled blocks at a time.
template <class T>
SIMT_KERNEL_BOUNDS(kTeamBlock, 2)
count_codes_kernel(typename CountCodes<T>::Args a) {
  using Op = CountCodes<T>;
  constexpr int64_t kBlock = Op::kBlock, kAtOnce = kTeamBlock / kBlock;
  const int64_t n = a.codes.numel(), blocks = Op::blocks(n), parts = gridDim.x;
  const int64_t own = threadIdx.x / kBlock, offset = threadIdx.x % kBlock;
  int count = 0;
  for (int64_t block = blockIdx.x + own * parts; block < blocks; block += kAtOnce * parts) {
    const int64_t i = block * Op::kEvery * kBlock + offset;
    if (i >= n) continue;
    const compute_of<T> code = a.codes.data[i];
    count += code == a.top || code == a.low;
  }
  count = sum_of_block(count);
  if (threadIdx.x == 0) a.counts(int64_t(blockIdx.x)) = float(count);
}

inline std::string refuse_count_correct(const CountCorrect<float>::Args& a) {
  const bool fits = a.logits.size(0) < (int64_t(1) << 24) && a.logits.size(1) < (int64_t(1) << 31);
  if (!fits) return "2^24 rows or 2^31 classes and more";
  return a.logits.size(1) > 0 || a.logits.size(0) == 0 ? "" : "rows without a class";
}
inline void count_correct(const CountCorrect<float>::Args& a, simt::Stream stream) {
  simt::launch(count_correct_kernel, 1, kTeamBlock, 0, stream, a);
}
template <class T>
void count_codes(const typename CountCodes<T>::Args& a, simt::Stream stream) {
  if (a.counts.numel())
    simt::launch(count_codes_kernel<T>, unsigned(a.counts.numel()), kTeamBlock, 0, stream, a);
}

}  // namespace apprentice::kernels::SIMT_NS
