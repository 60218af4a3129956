#include <map>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/core/state.h>
#include <apprentice/distill/training_state_internal.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/non_finite.h>
#include <apprentice/quant/model_file.h>
#include <apprentice/quant/prepare.h>

namespace apprentice::distill {

namespace {

constexpr const char* kOptimizerFile = "optimizer.safetensors";
/// Before the network's name: what its quantizers have counted since a line of the log told of it.
constexpr const char* kFlips = "flips.";

/// The student's file is the one that every verb takes.
std::string file_of(const Trained& trained) {
  return (trained.name == "student" ? std::string("model") : trained.name) + ".safetensors";
}

/// Those whose names begin with `prefix`, without it.
nn::StateDict below(const std::string& prefix, const nn::StateDict& tensors) {
  nn::StateDict own;
  for (const auto& [name, tensor] : tensors)
    if (name.rfind(prefix, 0) == 0) own[name.substr(prefix.size())] = tensor;
  return own;
}

/// Parameters of equal rules share a group.
std::vector<nn::ParameterGroup> groups_of(nn::Module& network, double weight_decay) {
  const auto rules = quant::parameter_rules(network);
  std::map<std::pair<double, double>, nn::ParameterGroup> groups;
  for (const auto& [name, parameter] : network.named_parameters()) {
    const auto it = rules.find(name);
    const quant::ParameterRule rule = it == rules.end() ? quant::ParameterRule{} : it->second;
    nn::ParameterGroup& group = groups[{rule.lr_scale, rule.weight_decay_scale}];
    group.lr_scale = float(rule.lr_scale);
    group.weight_decay = float(weight_decay * rule.weight_decay_scale);
    group.parameters.emplace_back(name, parameter);
  }
  std::vector<nn::ParameterGroup> all;
  for (auto& [rule, group] : groups) all.push_back(std::move(group));
  return all;
}

}  // namespace

TrainingState::TrainingState(std::vector<Trained> trained, std::vector<quant::ModelInfo> infos,
                             const Recipe::Train& options)
    : trained_(std::move(trained)), infos_(std::move(infos)), options_(options) {
  check(trained_.size() == infos_.size(), "train: {} networks are trained, {} are described",
        trained_.size(), infos_.size());
  make_optimizers();
}

void TrainingState::make_optimizers() {
  optimizers_.clear();
  not_finite_.clear();
  for (const Trained& trained : trained_) {
    const auto parameters = int64_t(trained.network->named_parameters().size());
    const Device device = trained.network->device();
    not_finite_.push_back({Tensor::zeros({parameters}, Dtype::i64).to(device),
                           Tensor::zeros({1}, Dtype::i64).to(device)});
    optimizers_.push_back(std::make_unique<nn::Sgd>(
        groups_of(*trained.network, options_.weight_decay),
        nn::Sgd::Options{.momentum = float(options_.momentum), .nesterov = options_.nesterov}));
    optimizers_.back()->skip_where(not_finite_.back().total);
  }
}

void TrainingState::prepare_step(float lr) {
  for (const auto& optimizer : optimizers_) optimizer->prepare_step(lr);
}

void TrainingState::apply_step() {
  for (size_t i = 0; i < trained_.size(); ++i) {
    quant::apply_step(*optimizers_[i], *trained_[i].network);
    optimizers_[i]->zero_grad();
  }
}

void TrainingState::note_gradients() {
  for (size_t i = 0; i < trained_.size(); ++i) {
    std::vector<View1<const float>> views;
    for (const auto& [name, parameter] : trained_[i].network->named_parameters()) {
      const Tensor grad = parameter.grad();
      views.push_back(grad ? grad.flat<float>() : View1<const float>{});
    }
    auto& [counts, total] = not_finite_[i];
    kernels::launch<kernels::NonFinite<float>>(
        {views, counts.view<int64_t, 1>(), total.view<int64_t, 1>()},
        current_stream(counts.device()));
  }
}

void TrainingState::check_gradients(const std::string& where) const {
  for (size_t i = 0; i < trained_.size(); ++i) {
    const std::vector<int64_t> counts = not_finite_[i].counts.to_vector<int64_t>();
    const nn::NamedTensors parameters = trained_[i].network->named_parameters();
    for (size_t k = 0; k < counts.size(); ++k)
      check<CheckFailed>(counts[k] == 0, "{}: the gradient of {}'s {} is not finite", where,
                         trained_[i].name, parameters[k].first);
  }
}

void TrainingState::train() {
  for (const Trained& trained : trained_) trained.network->train();
}

TrainingState::Memory TrainingState::memory() const {
  const auto bytes_of = [](const auto& tensors) {
    size_t bytes = 0;
    for (const auto& [name, tensor] : tensors)
      if (!tensor.device().is_cpu())
        bytes += DeviceAllocator::class_of(size_t(tensor.numel()) * size_of(tensor.dtype()));
    return bytes;
  };
  Memory memory;
  for (size_t i = 0; i < trained_.size(); ++i) {
    memory.parameters += bytes_of(trained_[i].network->named_parameters());
    memory.buffers += bytes_of(trained_[i].network->named_buffers());
    memory.optimizer += bytes_of(optimizers_[i]->state());
  }
  return memory;
}

std::vector<std::string> TrainingState::write(const std::string& folder) const {
  std::vector<std::string> names;
  State optimizers;
  for (size_t i = 0; i < trained_.size(); ++i) {
    names.push_back(file_of(trained_[i]));
    quant::save_model(folder + "/" + names.back(), *trained_[i].network, infos_[i]);
    for (auto& [name, tensor] : optimizers_[i]->state())
      optimizers.tensors[trained_[i].name + "." + name] = tensor;
    for (auto& [layer, counts] : quant::flip_counts(*trained_[i].network))
      optimizers.tensors[kFlips + trained_[i].name + "." + layer] = counts;
  }
  names.push_back(kOptimizerFile);
  save_state(folder + "/" + kOptimizerFile, optimizers);
  return names;
}

void TrainingState::read(const std::string& folder) {
  const State optimizers = load_state(folder + "/" + kOptimizerFile);
  for (const Trained& trained : trained_)
    trained.network->load_state_dict(load_state(folder + "/" + file_of(trained)).tensors);
  // Rules depend on the weights just read.
  make_optimizers();
  for (size_t i = 0; i < trained_.size(); ++i) {
    const std::string prefix = trained_[i].name + ".";
    optimizers_[i]->load_state(below(prefix, optimizers.tensors));
    quant::load_flip_counts(*trained_[i].network, below(kFlips + prefix, optimizers.tensors));
  }
}

}  // namespace apprentice::distill
