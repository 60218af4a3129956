#include <apprentice/nn/pool.h>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/ordered_pool.h>

namespace apprentice::nn {

Scaled MaxPool2d::forward(const Scaled& x) {
  const Scaled y{max_pool2d(x.data, options_), x.step, x.max_code, x.zero_point};
  if (training() || !observer_ || needs_grad({x.data})) return y;
  Observation seen;
  seen.x = widened(x);
  seen.y = widened(y);
  observer_(seen);
  return y;
}

Tensor GlobalAvgPool2d::forward(const Scaled& x) {
  check<ConfigError>(x.zero_point == 0,
                     "global average pooling: x has the zero point {}, expected codes of a layer "
                     "with a ReLU",
                     x.zero_point);
  if (!x.coded()) return forward(x.data);
  if (needs_grad({x.data})) return real({global_avg_pool2d(x.data), x.step, x.max_code});
  const Tensor codes = widened(x.data);
  const auto map = codes.view<float, 4>();
  Tensor y = codes.new_empty({map.size(0), map.size(3)});
  const auto step = kernels::Number<float>::in(x.step.flat<float>().data);
  kernels::launch<kernels::OrderedPool<float>>({map, step, y.view<float, 2>()},
                                               current_stream(x.data.device()));
  return y;
}

}  // namespace apprentice::nn
