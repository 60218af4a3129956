#include <algorithm>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/reduce.h>

namespace apprentice::kernels {
namespace {

using Args = Reduce<float>::Args;

/// How [outer, axis, inner] is cut. Long rows are cut into chunks, short ones into blocks of the
/// axis whose sums are added in order: no cut depends on the number of threads, so neither do the
/// sums.
struct Cut {
  static constexpr int64_t kChunk = 4096, kBlockElements = 1 << 14, kMostBlocks = 64;

  int64_t chunks, blocks, rows;

  Cut(int64_t axis, int64_t inner) : chunks((inner + kChunk - 1) / kChunk) {
    const int64_t wanted = (axis * inner + kBlockElements - 1) / kBlockElements;
    blocks = chunks > 1 ? 1 : std::min(wanted, kMostBlocks);
    rows = (axis + blocks - 1) / blocks;
  }
};

/// total[i] += sum of x[k * inner + i] over `rows` rows, for `n` columns.
void add_rows(const float* x, int64_t rows, int64_t inner, int64_t n, double* total) {
  if (inner == 1) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < rows; ++k) sum += double(x[k]);
    *total += sum;
    return;
  }
  for (int64_t k = 0; k < rows; ++k, x += inner) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) total[i] += double(x[i]);
  }
}

void reduce_sum(const Args& a) {
  const int64_t outer = a.x.size(0), axis = a.x.size(1), inner = a.x.size(2);
  const Cut cut(axis, inner);
  std::vector<double> partial(size_t(outer * cut.blocks * inner));
#pragma omp parallel for collapse(3) schedule(static) if (a.x.numel() >= kParallelElements)
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t block = 0; block < cut.blocks; ++block)
      for (int64_t chunk = 0; chunk < cut.chunks; ++chunk) {
        const int64_t k = block * cut.rows, i = chunk * Cut::kChunk;
        add_rows(a.x.data + (o * axis + k) * inner + i, std::min(cut.rows, axis - k), inner,
                 std::min(Cut::kChunk, inner - i),
                 partial.data() + (o * cut.blocks + block) * inner + i);
      }
  const double by = a.kind == ReduceKind::mean ? double(axis) : 1.0;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      double sum = 0;
      for (int64_t block = 0; block < cut.blocks; ++block)
        sum += partial[size_t((o * cut.blocks + block) * inner + i)];
      a.y(o, i) = float(sum / by);
    }
}

std::string refuse(const Args& a) {
  if (a.kind == ReduceKind::max) return "computes sums and means only";
  return a.x.numel() == 0 ? "a size is zero" : "";
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(reduce) {
  using namespace apprentice::kernels;
  add_portable<Reduce<float>>(reduce_sum, refuse);
}
