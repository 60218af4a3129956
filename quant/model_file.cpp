#include <apprentice/quant/model_file.h>

#include <cmath>
#include <filesystem>

#include <apprentice/base/error.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/core/state.h>
#include <apprentice/packed/description.h>
#include <apprentice/quant/packed_weight_internal.h>
#include <apprentice/quant/prepare.h>

namespace apprentice::quant {
namespace {

constexpr const char* kArchKey = "arch";
constexpr const char* kPolicyKey = "apprentice.quant";
constexpr const char* kModelFile = "model.safetensors";

using Metadata = std::map<std::string, std::string>;

std::string value_of(const Metadata& metadata, const std::string& key) {
  const auto it = metadata.find(key);
  return it == metadata.end() ? "" : it->second;
}

FileKind kind_of(const Metadata& metadata, const std::string& file) {
  if (value_of(metadata, packed::kFormatKey) != packed::kFormat) return FileKind::model;
  const std::string network = value_of(metadata, packed::kNetworkKey);
  return packed::from_json(network, file).weights_only ? FileKind::packed_weights
                                                       : FileKind::packed;
}

/// A policy that cannot be is the file's fault here.
Policy policy_of_file(const std::string& json, const std::string& file) {
  try {
    return policy_from_json(json);
  } catch (const Error& error) {
    throw DamagedFile(fmt::format("{}: metadata '{}': {}", file, kPolicyKey, error.what()));
  }
}

ModelInfo info_of(const State& state, const std::string& arch, const std::string& file) {
  ModelInfo info;
  info.metadata = state.metadata;
  info.arch = arch.empty() ? value_of(state.metadata, kArchKey) : arch;
  check<ConfigError>(!info.arch.empty(),
                     "{}: the file names no architecture (metadata key 'arch'), and none is given",
                     file);
  const std::string policy = value_of(state.metadata, kPolicyKey);
  if (!policy.empty()) info.policy = policy_of_file(policy, file);
  for (const char* key : {kArchKey, kPolicyKey, packed::kFormatKey, packed::kSchemaKey,
                          packed::kNetworkKey, kWeightsKey})
    info.metadata.erase(key);
  return info;
}

/// Rows of the only weight matrix, or 0.
int64_t classes_of(const nn::StateDict& tensors) {
  int64_t classes = 0;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.rank() != 2 || !name.ends_with(".weight")) continue;
    if (classes > 0) return 0;
    classes = tensor.size(0);
  }
  return classes;
}

/// Steps divide: a file with a step that is no positive number would poison everything silently.
void check_steps(nn::Module& model, const std::string& file) {
  for (const Layer& layer : layers(model)) {
    const auto quantizer = layer.activations();
    if (!quantizer) continue;
    const double step = quantizer->step().item();
    check<DamagedFile>(std::isfinite(step) && step > 0,
                       "{}: tensor '{}.act_scale' is {}, expected a positive number", file,
                       layer.name, step);
  }
}

void load_into(nn::Module& model, const State& state, const std::string& file) {
  try {
    model.load_state_dict(state.tensors);
  } catch (const Error& error) {
    throw DamagedFile(fmt::format("{}: {}", file, error.what()));
  }
  check_steps(model, file);
}

}  // namespace

std::string model_path(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    check<MissingInput>(fs::exists(path, ignored), "{}: no such model file or checkpoint", path);
    return path;
  }
  const std::string inside = (fs::path(path) / kModelFile).string();
  check<MissingInput>(fs::exists(inside, ignored), "{}: the folder holds no {}", path, kModelFile);
  return inside;
}

FileKind file_kind(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(model_path(path));
  return kind_of(file.metadata(), file.name());
}

void save_model(const std::string& path, const nn::Module& model, const ModelInfo& info) {
  State state{model.state_dict(), info.metadata};
  for (auto& [name, tensor] : state.tensors) {
    tensor = tensor.to(Device{});
    check_finite(name, tensor);
  }
  state.metadata[packed::kFormatKey] = "pt";
  state.metadata[kArchKey] = info.arch;
  if (info.policy.quantizes()) state.metadata[kPolicyKey] = to_json(info.policy);
  save_state(path, state);
}

LoadedModel load_model(const std::string& path, const ModelMaker& make, const std::string& arch) {
  const std::string file = model_path(path);
  State state = load_state(file);
  LoadedModel loaded;
  loaded.kind = kind_of(state.metadata, file);
  check<ConfigError>(loaded.kind != FileKind::packed,
                     "{}: a packed network, which runs as it is; expected a model file", file);
  loaded.info = info_of(state, arch, file);
  loaded.model =
      make(loaded.info.arch.substr(0, loaded.info.arch.find(' ')), classes_of(state.tensors));
  if (loaded.kind == FileKind::packed_weights)
    state = unpack_weights(file);
  else if (loaded.info.policy.quantizes())
    attach(*loaded.model, loaded.info.policy);
  load_into(*loaded.model, state, file);
  loaded.model->eval();
  return loaded;
}

}  // namespace apprentice::quant
