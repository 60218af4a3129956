#include <apprentice/nn/pool.h>

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/ordered_pool.h>

namespace apprentice::nn {

Tensor GlobalAvgPool2d::forward(const Scaled& x) {
  if (!x.coded()) return forward(x.data);
  if (needs_grad({x.data})) return real({global_avg_pool2d(x.data), x.step, x.max_code});
  const auto map = x.data.view<float, 4>();
  Tensor y = Tensor::empty({map.size(0), map.size(3)});
  kernels::launch<kernels::OrderedPool<float>>({map, float(x.step.item()), y.view<float, 2>()});
  return y;
}

}  // namespace apprentice::nn
