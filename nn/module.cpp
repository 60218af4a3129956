#include <apprentice/nn/module.h>

#include <algorithm>
#include <set>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/text.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/move.h>
#include <apprentice/core/ops/arithmetic.h>

namespace apprentice::nn {
namespace {

constexpr size_t kNamesShown = 5;

std::string joined(const std::string& prefix, const std::string& name) {
  if (prefix.empty()) return name;
  return name.empty() ? prefix : prefix + "." + name;
}

Tensor* find(NamedTensors& tensors, const std::string& name) {
  const auto it = std::find_if(tensors.begin(), tensors.end(),
                               [&](const auto& entry) { return entry.first == name; });
  return it == tensors.end() ? nullptr : &it->second;
}

void convert(Tensor& tensor, Dtype dtype) {
  const bool floating = tensor.dtype() == Dtype::f32 || tensor.dtype() == Dtype::f64;
  if (!floating || tensor.dtype() == dtype) return;
  const bool wants_grad = tensor.requires_grad();
  tensor = tensor.detach().to(dtype);
  tensor.set_requires_grad(wants_grad);
}

/// "3 missing tensors (a, b, c)"
std::string few(const char* what, std::vector<std::string> names) {
  const size_t count = names.size();
  if (count > kNamesShown) {
    names.resize(kNamesShown);
    names.push_back("...");
  }
  return fmt::format("{} {} tensor{} ({})", count, what, count == 1 ? "" : "s", join(names, ", "));
}

/// Codes [out, ...] times a step of one value or one a row.
Tensor scaled_rows(const Tensor& data, const Tensor& step) {
  if (step.numel() == 1) return data * step.reshape(Shape{}).to(data.dtype());
  Shape rows{step.numel()};
  while (rows.rank() < data.rank()) rows.push_back(1);
  return data * step.reshape(rows).to(data.dtype());
}

}  // namespace

Tensor real(const EffectiveWeight& weight) {
  if (!weight.step.defined()) return weight.data;
  if (!weight.step_negative.defined()) return scaled_rows(weight.data, weight.step);
  return scaled_rows(maximum(weight.data, 0), weight.step) +
         scaled_rows(minimum(weight.data, 0), weight.step_negative);
}

NamedTensors Module::collect(NamedTensors Module::*own) const {
  NamedTensors all = this->*own;
  for (const auto& [prefix, child] : children_)
    for (auto& [name, tensor] : child->collect(own)) all.emplace_back(joined(prefix, name), tensor);
  return all;
}

NamedTensors Module::named_parameters() const { return collect(&Module::parameters_); }
NamedTensors Module::named_buffers() const { return collect(&Module::buffers_); }

std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> all;
  for (auto& [name, tensor] : named_parameters()) all.push_back(tensor);
  return all;
}

std::vector<std::pair<std::string, Module*>> Module::named_modules() {
  std::vector<std::pair<std::string, Module*>> all{{"", this}};
  for (const auto& [prefix, child] : children_)
    for (const auto& [name, module] : child->named_modules())
      all.emplace_back(joined(prefix, name), module);
  return all;
}

StateDict Module::state_dict() const {
  StateDict state;
  for (auto& [name, tensor] : named_parameters()) state.emplace(name, tensor);
  for (auto& [name, tensor] : named_buffers()) state.emplace(name, tensor);
  return state;
}

void Module::load_state_dict(const StateDict& state) {
  StateDict own = state_dict();
  std::map<std::string, const Tensor*> given;
  std::vector<std::string> missing, unknown;
  for (const auto& [file_key, tensor] : state) {
    if (matches("*num_batches_tracked", file_key)) continue;
    const std::string key = own.count(file_key) ? file_key : key_of(file_key);
    const auto target = own.find(key);
    if (target == own.end() || (key != file_key && state.count(key))) {
      unknown.push_back(file_key);
      continue;
    }
    const bool real = tensor.dtype() == Dtype::f32 || tensor.dtype() == Dtype::f64;
    check<DtypeError>(real || tensor.dtype() == target->second.dtype(),
                      "{}: is {}, the model has {}", file_key, name_of(tensor.dtype()),
                      name_of(target->second.dtype()));
    given.emplace(key, &tensor);
    check<ShapeError>(tensor.shape() == target->second.shape(), "{}: got {}, the model has {}",
                      file_key, tensor.shape().str(), target->second.shape().str());
  }
  for (const auto& [key, tensor] : own)
    if (!given.count(key)) missing.push_back(key);
  std::vector<std::string> complaints;
  if (!missing.empty()) complaints.push_back(few("missing", missing));
  if (!unknown.empty()) complaints.push_back(few("unknown", unknown));
  check(complaints.empty(), "state dict does not fit the model: {}", join(complaints, ", "));
  for (const auto& [key, tensor] : given) own.at(key).copy_from(*tensor);
}

void Module::train(bool on) {
  training_ = on;
  ++mode_changes_;
  for (const auto& [name, child] : children_) child->train(on);
}

void Module::to(Dtype dtype) {
  check<DtypeError>(dtype == Dtype::f32 || dtype == Dtype::f64,
                    "module: cannot become {}, expected f32 or f64", name_of(dtype));
  for (auto& [name, tensor] : parameters_) convert(tensor, dtype);
  for (auto& [name, tensor] : buffers_) convert(tensor, dtype);
  for (const auto& [name, child] : children_) child->to(dtype);
}

void Module::to(Device device) {
  const MemoryLabel label("parameters");
  if (this->device() != device) {
    forget();
    for (const auto& [name, parametrization] : parametrizations_) parametrization->forget();
  }
  for (auto& [name, tensor] : parameters_) move_to(tensor, device);
  for (auto& [name, tensor] : buffers_) move_to(tensor, device);
  for (const auto& [name, child] : children_) child->to(device);
}

Device Module::device() const {
  for (const NamedTensors& tensors : {named_parameters(), named_buffers()})
    if (!tensors.empty()) return tensors.front().second.device();
  return {};
}

void Module::set_requires_grad(bool on) {
  for (auto& [name, tensor] : parameters_) tensor.set_requires_grad(on);
  for (const auto& [name, child] : children_) child->set_requires_grad(on);
}

std::vector<std::string> Module::own_names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : parameters_) names.push_back(name);
  for (const auto& [name, tensor] : buffers_) names.push_back(name);
  for (const auto& [name, child] : children_) {
    if (!name.empty()) {
      names.push_back(name);
      continue;
    }
    for (std::string& below : child->own_names()) names.push_back(std::move(below));
  }
  return names;
}

void Module::check_free(const std::string& name) const {
  const std::vector<std::string> taken = own_names();
  check(std::find(taken.begin(), taken.end(), name) == taken.end(),
        "module: {} is registered twice", name);
}

Tensor Module::add_parameter(const std::string& name, Tensor value) {
  check_free(name);
  value.set_requires_grad(true);
  return parameters_.emplace_back(name, std::move(value)).second;
}

Tensor Module::add_buffer(const std::string& name, Tensor value) {
  check_free(name);
  return buffers_.emplace_back(name, std::move(value)).second;
}

void Module::adopt(const std::string& name, std::shared_ptr<Module> child) {
  check(child != nullptr, "module: child '{}' is null", name);
  const std::vector<std::string> added =
      name.empty() ? child->own_names() : std::vector<std::string>{name};
  for (const std::string& each : added) check_free(each);
  child->train(training_);
  children_.emplace_back(name, std::move(child));
}

Tensor Module::parameter(const std::string& name) const {
  for (const auto& [own, tensor] : parameters_)
    if (own == name) return tensor;
  throw Error(fmt::format("module: no parameter '{}'", name));
}

Tensor Module::buffer(const std::string& name) const {
  for (const auto& [own, tensor] : buffers_)
    if (own == name) return tensor;
  throw Error(fmt::format("module: no buffer '{}'", name));
}

void Module::parametrize(const std::string& name,
                         std::shared_ptr<const Parametrization> parametrization) {
  check(find(parameters_, name) != nullptr, "module: no parameter '{}' to parametrize", name);
  if (parametrization)
    parametrizations_[name] = std::move(parametrization);
  else
    parametrizations_.erase(name);
}

std::shared_ptr<const Parametrization> Module::parametrization(const std::string& name) const {
  const auto it = parametrizations_.find(name);
  return it == parametrizations_.end() ? nullptr : it->second;
}

EffectiveWeight Module::effective(const std::string& name) const {
  const Tensor own = parameter(name);
  const auto it = parametrizations_.find(name);
  if (it == parametrizations_.end()) return {own, {}, {}, 0};
  return it->second->apply(own, training_);
}

}  // namespace apprentice::nn
