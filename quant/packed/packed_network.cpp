#include <apprentice/packed/packed_network.h>

#include <omp.h>

#include <algorithm>
#include <map>
#include <set>

#include <apprentice/base/buffer.h>
#include <apprentice/packed/memory_plan_internal.h>
#include <apprentice/packed/step_internal.h>

namespace apprentice::packed {
namespace {

/// Images that one thread takes through the whole network at a time: their activations stay in its
/// own caches, while the weights of a layer are read once for several images.
constexpr int64_t kChunkImages = 4;
/// The same with a trace, where the threads share each layer.
constexpr int64_t kTraceImages = 16;
/// Slots begin on cache lines.
constexpr int64_t kAlignment = 64;

/// Memory of the activations of one chunk; grows to the largest chunk and stays.
class Workspace {
 public:
  void reserve(const MemoryPlan& plan, int64_t images) {
    if (images <= images_) return;
    images_ = images;
    offsets_.clear();
    int64_t bytes = 0;
    for (const int64_t slot : plan.slot_bytes) {
      offsets_.push_back(bytes);
      bytes += (slot * images + kAlignment - 1) / kAlignment * kAlignment;
    }
    memory_ = std::make_unique<Buffer>(size_t(std::max<int64_t>(bytes, 1)));
  }
  void* slot(int index) const {
    return static_cast<char*>(memory_->data()) + offsets_[size_t(index)];
  }

 private:
  int64_t images_ = 0;
  std::vector<int64_t> offsets_;
  std::unique_ptr<Buffer> memory_;
};

}  // namespace

struct PackedNetwork::State {
  Description description;
  std::map<std::string, std::string> metadata;
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<LayerInfo> infos;
  std::vector<int> x_of, residual_of;  ///< layer that makes what layer i reads; -1: the input
  MemoryPlan plan;
  std::vector<Workspace> workspaces;  ///< one a thread

  void load(const SafetensorsFile& file, const Options& options);
  void plan_slots();
  void check_tensors(const SafetensorsFile& file) const;
  void run(const Workspace& workspace, View4<const float> x, View2<float> logits, int64_t first,
           int64_t images, const Trace* trace) const;
};

namespace {

std::unique_ptr<Step> make_step(const SafetensorsFile& file, const Layer& layer,
                                const Activation& x, const Activation& residual,
                                const kernels::Preference& preference) {
  if (layer.op == "stem") return make_stem(file, layer, x, preference);
  if (layer.op == "conv") return make_conv(file, layer, x, residual, preference);
  if (layer.op == "max_pool") return make_max_pool(file, layer, x, preference);
  if (layer.op == "global_avg_pool") return make_global_pool(layer, x, preference);
  return make_linear(file, layer, x, preference);
}

}  // namespace

void PackedNetwork::State::load(const SafetensorsFile& file, const Options& options) {
  const Activation input = {description.height, description.width, description.channels, false};
  std::map<int64_t, int> maker = {{0, -1}};
  const auto activation = [&](int64_t id) -> const Activation& {
    return id == 0 ? input : steps[size_t(maker.at(id))]->y;
  };
  for (const Layer& layer : description.layers) {
    const Activation residual = layer.residual < 0 ? Activation() : activation(layer.residual);
    auto step = make_step(file, layer, activation(layer.x), residual, options.kernels);
    step->info.name = layer.name;
    step->info.op = layer.op;
    x_of.push_back(maker.at(layer.x));
    residual_of.push_back(layer.residual < 0 ? -1 : maker.at(layer.residual));
    maker[layer.y] = int(steps.size());
    infos.push_back(step->info);
    steps.push_back(std::move(step));
  }
  check_tensors(file);
  const kernels::Preference& wanted = options.kernels;
  const bool found = std::any_of(infos.begin(), infos.end(), [&](const LayerInfo& info) {
    return info.family == wanted.family;
  });
  check<DeviceError>(!wanted.require || wanted.family.empty() || found,
                     "{}: no layer has a kernel of family '{}'", file.name(), wanted.family);
  plan_slots();
}

void PackedNetwork::State::plan_slots() {
  std::vector<Lifetime> lifetimes;
  for (size_t i = 0; i < steps.size(); ++i) lifetimes.push_back({steps[i]->y.bytes(), i});
  for (size_t i = 0; i < steps.size(); ++i) {
    if (x_of[i] >= 0) lifetimes[size_t(x_of[i])].last_reader = i;
    if (residual_of[i] >= 0) lifetimes[size_t(residual_of[i])].last_reader = i;
  }
  plan = plan_memory(lifetimes);
}

/// Every tensor of the file belongs to a layer.
void PackedNetwork::State::check_tensors(const SafetensorsFile& file) const {
  std::set<std::string> known;
  for (const auto& step : steps) {
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

void PackedNetwork::State::run(const Workspace& workspace, View4<const float> x,
                               View2<float> logits, int64_t first, int64_t images,
                               const Trace* trace) const {
  const Activation& input = steps.front()->x;
  auto* image = const_cast<float*>(x.data) + first * input.numel();
  const auto memory = [&](int maker) -> void* {
    return maker < 0 ? image : workspace.slot(plan.slot[size_t(maker)]);
  };
  for (size_t i = 0; i < steps.size(); ++i) {
    Chunk chunk;
    chunk.first = first;
    chunk.images = images;
    chunk.x = memory(x_of[i]);
    if (residual_of[i] >= 0) chunk.residual = memory(residual_of[i]);
    chunk.y = i + 1 < steps.size() ? memory(int(i)) : logits.data + first * logits.size(1);
    chunk.trace = trace;
    steps[i]->run(chunk);
  }
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
  auto state = std::make_unique<State>();
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
  State& s = *state_;
  const int64_t n = x.size(0);
  const Description& d = s.description;
  check<ShapeError>(x.size(1) == d.height && x.size(2) == d.width && x.size(3) == d.channels,
                    "packed network: x is [{}, {}, {}, {}], expected [n, {}, {}, {}]", n, x.size(1),
                    x.size(2), x.size(3), d.height, d.width, d.channels);
  check<ShapeError>(logits.size(0) == n && logits.size(1) == classes(),
                    "packed network: logits is [{}, {}], expected [{}, {}]", logits.size(0),
                    logits.size(1), n, classes());
  const int threads = omp_get_max_threads();
  const bool shared = trace || n < threads;  // threads share each layer instead of the images
  const int64_t most = trace ? kTraceImages : kChunkImages;
  const int64_t chunk = std::min(most, shared ? n : (n + threads - 1) / threads);
  s.workspaces.resize(std::max(s.workspaces.size(), size_t(shared ? 1 : threads)));
  for (size_t i = 0; i < (shared ? 1 : size_t(threads)); ++i)
    s.workspaces[i].reserve(s.plan, chunk);
  if (shared) {  // no parallel region here: `trace` may throw
    for (int64_t first = 0; first < n; first += chunk) {
      s.run(s.workspaces[0], x, logits, first, std::min(chunk, n - first),
            trace ? &trace : nullptr);
    }
    return;
  }
#pragma omp parallel for schedule(dynamic)
  for (int64_t first = 0; first < n; first += chunk) {
    const Workspace& own = s.workspaces[size_t(omp_get_thread_num())];
    s.run(own, x, logits, first, std::min(chunk, n - first), nullptr);
  }
}

PackedNetwork::PackedNetwork(std::unique_ptr<State> state) : state_(std::move(state)) {}
PackedNetwork::PackedNetwork(PackedNetwork&&) noexcept = default;
PackedNetwork& PackedNetwork::operator=(PackedNetwork&&) noexcept = default;
PackedNetwork::~PackedNetwork() = default;

int64_t PackedNetwork::classes() const { return state_->description.layers.back().out; }
const Description& PackedNetwork::description() const { return state_->description; }
const std::vector<LayerInfo>& PackedNetwork::layers() const { return state_->infos; }
const std::map<std::string, std::string>& PackedNetwork::metadata() const {
  return state_->metadata;
}
int64_t PackedNetwork::weight_bytes() const {
  int64_t bytes = 0;
  for (const auto& step : state_->steps) bytes += step->memory;
  return bytes;
}

}  // namespace apprentice::packed
