#include <apprentice/packed/packed_network.h>

#include <omp.h>

#include <algorithm>
#include <map>
#include <set>

#include <apprentice/base/device_allocator.h>
#include <apprentice/packed/executor_internal.h>

namespace apprentice::packed {

struct PackedNetwork::State {
  explicit State(const Options& options) : executor(options.device, options.arena_bytes) {}

  Description description;
  std::map<std::string, std::string> metadata;
  Executor executor;
  std::vector<LayerInfo> infos;
  int threads = 0;

  void load(const SafetensorsFile& file, const Options& options);
  void check_tensors(const SafetensorsFile& file) const;
  void check_sizes(const View4<const float>& x, const View2<float>& logits) const;
  void run(const Batch& batch);
};

namespace {

std::unique_ptr<Step> make_step(const SafetensorsFile& file, const Layer& layer,
                                const Activation& x, const Activation& residual,
                                const Options& options) {
  if (layer.op == "stem") return make_stem(file, layer, x, options);
  if (layer.op == "conv") return make_conv(file, layer, x, residual, options);
  if (layer.op == "max_pool") return make_max_pool(file, layer, x, options);
  if (layer.op == "global_avg_pool") return make_global_pool(layer, x, options);
  return make_linear(file, layer, x, options);
}

}  // namespace

void PackedNetwork::State::load(const SafetensorsFile& file, const Options& options) {
  threads = options.threads;
  const DeviceGuard device(options.device);
  const StreamGuard queue({options.device});
  const MemoryLabel label("packed weights");
  const Activation input = {description.height, description.width, description.channels};
  std::map<int64_t, int> maker = {{0, -1}};
  const auto activation = [&](int64_t id) -> const Activation& {
    return id == 0 ? input : executor.steps()[size_t(maker.at(id))]->y;
  };
  for (const Layer& layer : description.layers) {
    const Activation residual = layer.residual < 0 ? Activation() : activation(layer.residual);
    auto step = make_step(file, layer, activation(layer.x), residual, options);
    step->info.name = layer.name;
    step->info.op = layer.op;
    step->info.y = {step->y.height, step->y.width, step->y.channels};
    infos.push_back(step->info);
    const int shortcut = layer.residual < 0 ? -1 : maker.at(layer.residual);
    executor.add(std::move(step), maker.at(layer.x), shortcut);
    maker[layer.y] = int(infos.size()) - 1;
  }
  executor.finish();
  check_tensors(file);
  const kernels::Preference& wanted = options.kernels;
  const bool found = std::any_of(infos.begin(), infos.end(), [&](const LayerInfo& info) {
    return info.family == wanted.family;
  });
  check<DeviceError>(!wanted.require || wanted.family.empty() || found,
                     "{}: no layer has a kernel of family '{}'", file.name(), wanted.family);
}

/// Every tensor of the file belongs to a layer.
void PackedNetwork::State::check_tensors(const SafetensorsFile& file) const {
  std::set<std::string> known;
  for (const auto& step : executor.steps()) {
    const std::string& name = step->layer.name;
    const std::string& op = step->layer.op;
    if (op == "stem" || op == "linear") known.insert(name + ".weight");
    if (op == "linear") known.insert(name + ".bias");
    if (op == "conv") known.insert({name + ".weight_packed", name + ".weight_scale"});
    if (op == "stem" || op == "conv") known.insert({name + ".a", name + ".b"});
    if (step->layer.weights == "ttq") known.insert({name + ".a_neg", name + ".weight_scale_neg"});
  }
  for (const TensorInfo& tensor : file.tensors()) {
    check<DamagedFile>(known.count(tensor.name) != 0, "{}: tensor '{}' belongs to no layer",
                       file.name(), tensor.name);
  }
}

void PackedNetwork::State::check_sizes(const View4<const float>& x,
                                       const View2<float>& logits) const {
  const Description& d = description;
  const int64_t n = x.size(0), classes = d.layers.back().out;
  check<ShapeError>(x.size(1) == d.height && x.size(2) == d.width && x.size(3) == d.channels,
                    "packed network: x is [{}, {}, {}, {}], expected [n, {}, {}, {}]", n, x.size(1),
                    x.size(2), x.size(3), d.height, d.width, d.channels);
  check<ShapeError>(logits.size(0) == n && logits.size(1) == classes,
                    "packed network: logits is [{}, {}], expected [{}, {}]", logits.size(0),
                    logits.size(1), n, classes);
}

void PackedNetwork::State::run(const Batch& batch) {
  check_sizes(batch.x, batch.logits);
  executor.run(batch, threads > 0 ? threads : omp_get_max_threads());
}

PackedNetwork PackedNetwork::load(const std::string& path, const Options& options) {
  return load(SafetensorsFile::open(path), options);
}

PackedNetwork PackedNetwork::load(const SafetensorsFile& file, const Options& options) {
  const std::string format = file.metadata(kFormatKey), schema = file.metadata(kSchemaKey);
  check<DamagedFile>(format == kFormat, "{}: is no packed model: format is '{}', expected '{}'",
                     file.name(), format, kFormat);
  check<DamagedFile>(schema == kSchema, "{}: schema of the packed model is '{}', expected '{}'",
                     file.name(), schema, kSchema);
  auto state = std::make_unique<State>(options);
  state->description = from_json(file.metadata(kNetworkKey), file.name());
  check<ConfigError>(!state->description.weights_only,
                     "{}: only the weights are packed (32-bit activations), so low-bit kernels "
                     "cannot run it; decode it to f32",
                     file.name());
  state->metadata = file.metadata();
  state->load(file, options);
  return PackedNetwork(std::move(state));
}

void PackedNetwork::forward(View4<const float> x, View2<float> logits, const Trace& trace) {
  Batch batch{x, logits, current_stream(device())};
  batch.trace = trace ? &trace : nullptr;
  state_->run(batch);
}

void PackedNetwork::enqueue(View4<const float> x, View2<float> logits, Stream stream) {
  check<DeviceError>(stream.device == device(),
                     "packed network: x and a stream of {}, expected of {}", stream.device.str(),
                     device().str());
  Batch batch{x, logits, stream};
  batch.on_host = device().is_cpu();
  state_->run(batch);
}

void PackedNetwork::profile(View4<const float> x, View2<float> logits,
                            std::vector<double>& seconds) {
  seconds.resize(layers().size());
  Batch batch{x, logits, current_stream(device())};
  batch.seconds = &seconds;
  state_->run(batch);
}

PackedNetwork::PackedNetwork(std::unique_ptr<State> state) : state_(std::move(state)) {}
PackedNetwork::PackedNetwork(PackedNetwork&&) noexcept = default;
PackedNetwork& PackedNetwork::operator=(PackedNetwork&&) noexcept = default;
PackedNetwork::~PackedNetwork() = default;

Device PackedNetwork::device() const { return state_->executor.device(); }
int64_t PackedNetwork::classes() const { return state_->description.layers.back().out; }
const Description& PackedNetwork::description() const { return state_->description; }
const std::vector<LayerInfo>& PackedNetwork::layers() const { return state_->infos; }
const std::map<std::string, std::string>& PackedNetwork::metadata() const {
  return state_->metadata;
}
int64_t PackedNetwork::weight_bytes() const {
  int64_t bytes = 0;
  for (const auto& step : state_->executor.steps()) bytes += step->memory;
  return bytes;
}
int64_t PackedNetwork::activation_bytes(int64_t images) const {
  return state_->executor.schedule(images).memory.bytes;
}
std::vector<PlannedBlock> PackedNetwork::memory_plan(int64_t images) const {
  const MemoryPlan plan = state_->executor.schedule(images).memory;
  std::vector<PlannedBlock> blocks;
  for (size_t i = 0; i < plan.blocks.size(); ++i) {
    const Lifetime& block = plan.blocks[i];
    blocks.push_back({plan.offset[i], block.bytes, block.first, block.last});
  }
  return blocks;
}

}  // namespace apprentice::packed
