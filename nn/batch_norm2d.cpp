#include <apprentice/nn/batch_norm2d.h>

#include <cmath>

#include <apprentice/base/error.h>

namespace apprentice::nn {

BatchNorm2d::BatchNorm2d(const Options& options) : options_(options) {
  check<ConfigError>(options.channels > 0, "batch norm: {} channels, expected at least 1",
                     options.channels);
  check<ConfigError>(options.eps > 0, "batch norm: eps is {}, expected more than 0", options.eps);
  check<ConfigError>(options.momentum >= 0 && options.momentum <= 1,
                     "batch norm: momentum is {}, expected 0 to 1", options.momentum);
  const Shape shape{options.channels};
  add_parameter("weight", Tensor::full(shape, 1));
  add_parameter("bias", Tensor::zeros(shape));
  add_buffer("running_mean", Tensor::zeros(shape));
  add_buffer("running_var", Tensor::full(shape, 1));
}

Tensor BatchNorm2d::forward(const Tensor& x, BatchNormOptions extra) {
  extra.eps = options_.eps;
  extra.momentum = options_.momentum;
  const Tensor weight = parameter("weight"), bias = parameter("bias");
  const Tensor mean = buffer("running_mean"), var = buffer("running_var");
  if (training()) return batch_norm_train(x, weight, bias, mean, var, extra);
  return batch_norm_eval(x, weight, bias, mean, var, extra);
}

BatchNorm2d::Affine BatchNorm2d::affine() const {
  const auto mean = buffer("running_mean").to_vector<double>();
  const auto var = buffer("running_var").to_vector<double>();
  Affine affine{parameter("weight").to_vector<double>(), parameter("bias").to_vector<double>()};
  for (size_t c = 0; c < mean.size(); ++c) {
    affine.a[c] /= std::sqrt(var[c] + double(options_.eps));
    affine.b[c] -= mean[c] * affine.a[c];
  }
  return affine;
}

}  // namespace apprentice::nn
