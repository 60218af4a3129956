#include <apprentice/base/error.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/quantize.h>
#include <apprentice/quant/weight_rows_internal.h>

namespace apprentice::quant {
namespace {

View2<const float> rows_of(const Tensor& w, bool per_channel) {
  check<DtypeError>(w.dtype() == Dtype::f32, "weight quantizer: got {}, expected f32",
                    name_of(w.dtype()));
  const int64_t rows = per_channel ? w.size(0) : 1;
  return {w.data<float>(), {rows, rows == 0 ? 0 : w.numel() / rows}};
}

View1<float> view_of(std::vector<float>& values) {
  return {values.data(), {int64_t(values.size())}};
}

}  // namespace

std::vector<float> abs_mean(const Tensor& w, bool per_channel) {
  const View2<const float> x = rows_of(w, per_channel);
  std::vector<float> mean(size_t(x.size(0)));
  kernels::launch<kernels::AbsStatistics<float>>({x, view_of(mean), {}});
  return mean;
}

std::vector<float> abs_max(const Tensor& w, bool per_channel) {
  const View2<const float> x = rows_of(w, per_channel);
  std::vector<float> max(size_t(x.size(0)));
  kernels::launch<kernels::AbsStatistics<float>>({x, {}, view_of(max)});
  return max;
}

TernaryRows ternarize(const Tensor& w, bool per_channel, const std::vector<float>& threshold) {
  const View2<const float> x = rows_of(w, per_channel);
  const auto rows = size_t(x.size(0));
  TernaryRows result{Tensor::empty(w.shape()), std::vector<float>(rows), std::vector<float>(rows),
                     std::vector<float>(rows)};
  kernels::launch<kernels::Ternarize<float>>({x,
                                              {threshold.data(), {int64_t(rows)}},
                                              {result.codes.data<float>(), x.sizes},
                                              view_of(result.positive_mean),
                                              view_of(result.negative_mean),
                                              view_of(result.nonzero_mean)});
  return result;
}

Tensor map_rows(const Tensor& w, bool per_channel,
                const std::function<float(int64_t row, float value)>& fn) {
  const View2<const float> x = rows_of(w, per_channel);
  Tensor result = Tensor::empty(w.shape());
  float* y = result.data<float>();
  for (int64_t i = 0; i < x.size(0); ++i)
    for (int64_t j = 0; j < x.size(1); ++j) *y++ = fn(i, x(i, j));
  return result;
}

}  // namespace apprentice::quant
