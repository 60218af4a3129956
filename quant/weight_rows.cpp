#include <apprentice/base/error.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/quantize.h>
#include <apprentice/quant/weight_rows_internal.h>

namespace apprentice::quant {

std::array<int64_t, 2> rows_of(const Tensor& w, bool per_channel) {
  check<DtypeError>(w.dtype() == Dtype::f32, "weight quantizer: got {}, expected f32",
                    name_of(w.dtype()));
  const int64_t rows = per_channel ? w.size(0) : 1;
  return {rows, rows == 0 ? 0 : w.numel() / rows};
}

Tensor abs_mean(const Tensor& w, bool per_channel) {
  const auto sizes = rows_of(w, per_channel);
  Tensor mean = w.new_empty({sizes[0]});
  kernels::launch<kernels::AbsStatistics<float>>({w.as<float>(sizes), mean.view<float, 1>(), {}},
                                                 current_stream(w.device()));
  return mean;
}

Tensor abs_max(const Tensor& w, bool per_channel) {
  const auto sizes = rows_of(w, per_channel);
  Tensor max = w.new_empty({sizes[0]});
  kernels::launch<kernels::AbsStatistics<float>>({w.as<float>(sizes), {}, max.view<float, 1>()},
                                                 current_stream(w.device()));
  return max;
}

TernaryRows ternarize(const Tensor& w, bool per_channel, const Tensor& size, double factor) {
  const auto sizes = rows_of(w, per_channel);
  const auto make = [&] { return w.new_empty({sizes[0]}); };
  TernaryRows rows{w.new_empty(w.shape()), make(), make(), make()};
  kernels::launch<kernels::Ternarize<float>>({.w = w.as<float>(sizes),
                                              .threshold = size.view<float, 1>(),
                                              .codes = rows.codes.as<float>(sizes),
                                              .positive_mean = rows.positive_mean.view<float, 1>(),
                                              .negative_mean = rows.negative_mean.view<float, 1>(),
                                              .nonzero_mean = rows.nonzero_mean.view<float, 1>(),
                                              .factor = factor},
                                             current_stream(w.device()));
  return rows;
}

Tensor map_rows(const Tensor& w, bool per_channel,
                const std::function<float(int64_t row, float value)>& fn) {
  const auto sizes = rows_of(w, per_channel);
  const Tensor host = w.to(Device{});
  const View2<const float> x = host.as<float>(sizes);
  Tensor result = host.new_empty(w.shape());
  float* y = result.data<float>();
  for (int64_t i = 0; i < x.size(0); ++i)
    for (int64_t j = 0; j < x.size(1); ++j) *y++ = fn(i, x(i, j));
  return result;
}

}  // namespace apprentice::quant
