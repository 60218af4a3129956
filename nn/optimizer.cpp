#include <apprentice/nn/optimizer.h>

#include <set>

#include <apprentice/base/error.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/optimizer.h>

namespace apprentice::nn {
namespace {

template <class T>
View1<T> flat(Tensor& tensor) {
  return {tensor.data<T>(), {tensor.numel()}};
}

template <class T>
View1<const T> flat(const Tensor& tensor) {
  return {tensor.data<T>(), {tensor.numel()}};
}

void check_range(const char* what, double value, double low, double below) {
  check<ConfigError>(value >= low && value < below, "optimizer: {} is {}, expected {} to below {}",
                     what, value, low, below);
}

}  // namespace

Optimizer::Optimizer(std::vector<ParameterGroup> groups) : groups_(std::move(groups)) {
  std::set<std::string> names;
  for (const ParameterGroup& group : groups_)
    for (const auto& [name, tensor] : group.parameters)
      check<ConfigError>(names.insert(name).second, "optimizer: parameter {} is given twice", name);
}

void Optimizer::zero_grad() {
  for (ParameterGroup& group : groups_)
    for (auto& [name, tensor] : group.parameters) tensor.set_grad({});
}

void Optimizer::load_state(const StateDict& state) {
  StateDict own = this->state();
  for (const auto& [name, tensor] : state) {
    const auto at = own.find(name);
    check(at != own.end(), "optimizer state: unknown tensor {}", name);
    check<ShapeError>(at->second.shape() == tensor.shape(),
                      "optimizer state: {}: got {}, expected {}", name, tensor.shape().str(),
                      at->second.shape().str());
  }
  for (auto& [name, tensor] : own)
    check(state.count(name) != 0, "optimizer state: tensor {} is missing", name);
  for (auto& [name, tensor] : own) tensor.copy_from(state.at(name));
}

std::vector<std::vector<Tensor>> Optimizer::zeros_like_parameters() const {
  std::vector<std::vector<Tensor>> all;
  for (const ParameterGroup& group : groups_) {
    all.emplace_back();
    for (const auto& [name, tensor] : group.parameters)
      all.back().push_back(Tensor::zeros(tensor.shape(), tensor.dtype()));
  }
  return all;
}

void Optimizer::name_state(const std::string& prefix,
                           const std::vector<std::vector<Tensor>>& tensors,
                           StateDict& state) const {
  for (size_t g = 0; g < tensors.size(); ++g)
    for (size_t i = 0; i < tensors[g].size(); ++i)
      state.emplace(prefix + "." + groups_[g].parameters[i].first, tensors[g][i]);
}

Sgd::Sgd(std::vector<ParameterGroup> groups, const Options& options)
    : Optimizer(std::move(groups)), options_(options) {
  check_range("momentum", options.momentum, 0, 1);
  check<ConfigError>(!options.nesterov || options.momentum > 0,
                     "optimizer: nesterov needs momentum");
  if (options.momentum > 0) momentum_ = zeros_like_parameters();
}

void Sgd::step(double lr) {
  for_each(
      [&](const ParameterGroup& group, Tensor& parameter, const Tensor& grad, size_t g, size_t i) {
        with_float(parameter.dtype(), "sgd", [&]<class T>() {
          kernels::launch<kernels::SgdUpdate<T>>(
              {.param = flat<T>(parameter),
               .grad = flat<T>(grad),
               .velocity = momentum_.empty() ? View1<T>{} : flat<T>(momentum_[g][i]),
               .learning_rate = T(lr * group.lr_scale),
               .momentum = T(options_.momentum),
               .weight_decay = T(group.weight_decay),
               .nesterov = options_.nesterov});
        });
      });
}

StateDict Sgd::state() const {
  StateDict state;
  name_state("momentum", momentum_, state);
  return state;
}

Adam::Adam(std::vector<ParameterGroup> groups, const Options& options)
    : Optimizer(std::move(groups)),
      options_(options),
      mean_(zeros_like_parameters()),
      square_(zeros_like_parameters()),
      steps_(Tensor::zeros({1}, Dtype::i64)) {
  check_range("beta1", options.beta1, 0, 1);
  check_range("beta2", options.beta2, 0, 1);
  check<ConfigError>(options.eps > 0, "optimizer: eps is {}, expected more than 0", options.eps);
}

void Adam::step(double lr) {
  const int64_t step = ++*steps_.data<int64_t>();
  for_each(
      [&](const ParameterGroup& group, Tensor& parameter, const Tensor& grad, size_t g, size_t i) {
        with_float(parameter.dtype(), "adam", [&]<class T>() {
          kernels::launch<kernels::AdamUpdate<T>>({.param = flat<T>(parameter),
                                                   .grad = flat<T>(grad),
                                                   .first = flat<T>(mean_[g][i]),
                                                   .second = flat<T>(square_[g][i]),
                                                   .learning_rate = lr * group.lr_scale,
                                                   .beta1 = options_.beta1,
                                                   .beta2 = options_.beta2,
                                                   .eps = options_.eps,
                                                   .weight_decay = group.weight_decay,
                                                   .decoupled = options_.decoupled,
                                                   .step = step});
        });
      });
}

StateDict Adam::state() const {
  StateDict state{{"steps", steps_}};
  name_state("mean", mean_, state);
  name_state("square", square_, state);
  return state;
}

}  // namespace apprentice::nn
