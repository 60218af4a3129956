#include <apprentice/nn/optimizer.h>

#include <set>
#include <utility>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/optimizer.h>

namespace apprentice::nn {
namespace {

/// Adds to `to` what is asked of a parameter.
template <class Parameter>
void add_asked(const ParameterCodes* asked, Parameter& to) {
  if (asked) to.bound = asked->bound, to.codes = &asked->codes;
}

/// fn(group, parameter, gradient, group index, index) for every parameter of type T that has a
/// gradient.
template <class T, class Fn>
void for_each(std::vector<ParameterGroup>& groups, const Fn& fn) {
  for (size_t g = 0; g < groups.size(); ++g)
    for (size_t i = 0; i < groups[g].parameters.size(); ++i) {
      Tensor& parameter = groups[g].parameters[i].second;
      const Tensor grad = parameter.grad();
      if (grad.defined() && parameter.dtype() == dtype_of<T>) fn(groups[g], parameter, grad, g, i);
    }
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

void Optimizer::step(double lr) {
  prepare_step(lr);
  apply_step();
}

void Optimizer::prepare_step(double lr) {
  const std::vector<double> numbers = next_numbers(lr);
  const Device device = this->device();
  if (!numbers_.defined() || numbers_.device() != device)
    numbers_ = Tensor::empty({int64_t(numbers.size())}, Dtype::f64, device);
  copy_bytes(numbers_.bytes(), device, numbers.data(), {}, numbers.size() * sizeof(double),
             current_stream(device));
}

void Optimizer::apply_step(std::span<ParameterCodes> codes) {
  asked_.clear();
  for (ParameterCodes& each : codes) {
    each.made = false;
    check(each.codes.w.data == std::as_const(each.parameter).flat<float>().data &&
              each.codes.w.numel() == each.parameter.numel(),
          "optimizer: codes asked of {} elements beside a parameter {}, expected of it, whole",
          each.codes.w.numel(), each.parameter.shape().str());
    asked_[std::as_const(each.parameter).bytes()] = &each;
  }
  launch_step();
  asked_.clear();
}

const ParameterCodes* Optimizer::asked(const Tensor& parameter) const {
  const auto it = asked_.find(parameter.bytes());
  if (it == asked_.end()) return nullptr;
  it->second->made = true;
  return it->second;
}

Device Optimizer::device() const {
  const Tensor* first = nullptr;
  for (const ParameterGroup& group : groups_)
    for (const auto& [name, tensor] : group.parameters) {
      if (!first) first = &tensor;
      check<DeviceError>(tensor.device() == first->device(),
                         "optimizer: parameter {} is on {}, expected {} as the others are", name,
                         tensor.device().str(), first->device().str());
    }
  return first ? first->device() : Device{};
}

Stream Optimizer::stream() const {
  check(numbers_.defined(), "optimizer: apply_step() comes after prepare_step()");
  return current_stream(numbers_.device());
}

View1<const int64_t> Optimizer::skip() const {
  return skip_.defined() ? skip_.view<int64_t, 1>() : View1<const int64_t>{};
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
  const MemoryLabel label("optimizer");
  std::vector<std::vector<Tensor>> all;
  for (const ParameterGroup& group : groups_) {
    all.emplace_back();
    for (const auto& [name, tensor] : group.parameters)
      all.back().push_back(tensor.new_zeros(tensor.shape()));
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

std::vector<double> Sgd::next_numbers(double lr) { return {lr}; }

template <class T>
void Sgd::apply() {
  using Step = kernels::SgdStep<T>;
  std::vector<typename Step::Parameter> parameters;
  for_each<T>(groups_, [&](const ParameterGroup& group, Tensor& parameter, const Tensor& grad,
                           size_t g, size_t i) {
    parameters.push_back(
        {.param = parameter.flat<T>(),
         .grad = grad.flat<T>(),
         .velocity = momentum_.empty() ? View1<T>{} : momentum_[g][i].template flat<T>(),
         .lr_scale = group.lr_scale,
         .weight_decay = T(group.weight_decay)});
    add_asked(asked(parameter), parameters.back());
  });
  if (parameters.empty()) return;
  kernels::launch<Step>({.parameters = parameters,
                         .learning_rate = std::as_const(numbers_).flat<double>(),
                         .momentum = T(options_.momentum),
                         .nesterov = options_.nesterov,
                         .skip = skip()},
                        stream());
}

void Sgd::launch_step() {
  apply<float>();
  apply<double>();
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
      steps_(Tensor::empty({1}, Dtype::i64, {})) {
  *steps_.data<int64_t>() = 0;
  check_range("beta1", options.beta1, 0, 1);
  check_range("beta2", options.beta2, 0, 1);
  check<ConfigError>(options.eps > 0, "optimizer: eps is {}, expected more than 0", options.eps);
}

std::vector<double> Adam::next_numbers(double lr) {
  const int64_t step = ++*steps_.data<int64_t>();
  const auto numbers = kernels::adam_numbers(lr, options_.beta1, options_.beta2, step);
  return {numbers.begin(), numbers.end()};
}

template <class T>
void Adam::apply() {
  using Step = kernels::AdamStep<T>;
  std::vector<typename Step::Parameter> parameters;
  for_each<T>(groups_, [&](const ParameterGroup& group, Tensor& parameter, const Tensor& grad,
                           size_t g, size_t i) {
    parameters.push_back({.param = parameter.flat<T>(),
                          .grad = grad.flat<T>(),
                          .first = mean_[g][i].template flat<T>(),
                          .second = square_[g][i].template flat<T>(),
                          .lr_scale = group.lr_scale,
                          .weight_decay = group.weight_decay});
    add_asked(asked(parameter), parameters.back());
  });
  if (parameters.empty()) return;
  kernels::launch<Step>({.parameters = parameters,
                         .numbers = std::as_const(numbers_).flat<double>(),
                         .beta1 = options_.beta1,
                         .beta2 = options_.beta2,
                         .eps = options_.eps,
                         .decoupled = options_.decoupled,
                         .skip = skip()},
                        stream());
}

void Adam::launch_step() {
  apply<float>();
  apply<double>();
}

StateDict Adam::state() const {
  StateDict state{{"steps", steps_}};
  name_state("mean", mean_, state);
  name_state("square", square_, state);
  return state;
}

}  // namespace apprentice::nn
