#include <dnnl.h>

#include <algorithm>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/gemm.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {
namespace {

using Args = Gemm<float>::Args;

void gemm(const Args& args, Stream) {
  const int64_t m = args.c.size(0), n = args.c.size(1);
  const int64_t k = args.transpose_a ? args.a.size(0) : args.a.size(1);
  if (args.bias)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j)
        args.c(i, j) = args.accumulate ? args.c(i, j) + args.bias(j) : args.bias(j);
  const float beta = args.accumulate || args.bias ? 1.0f : 0.0f;
  const auto status =
      dnnl_sgemm(args.transpose_a ? 'T' : 'N', args.transpose_b ? 'T' : 'N', m, n, k, 1.0f,
                 args.a.data, args.a.size(1), args.b.data, args.b.size(1), beta, args.c.data, n);
  check<DeviceError>(status == dnnl_success, "gemm: dnnl_sgemm failed with code {} on [{}, {}, {}]",
                     int(status), m, n, k);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(gemm_onednn) {
  using namespace apprentice::kernels;
  kernel_table<Gemm<float>>().add({.name = "gemm_f32_cpu_onednn",
                                   .family = "onednn",
                                   .priority = 100,
                                   .refuse =
                                       [](const Args& a) {
                                         const bool empty = a.a.numel() == 0 || a.b.numel() == 0 ||
                                                            a.c.numel() == 0;
                                         return std::string(empty ? "a size is zero" : "");
                                       },
                                   .run = gemm});
}
