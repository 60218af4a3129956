#include <algorithm>
#include <charconv>

#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/cudnn/conv_graph_internal.h>

namespace apprentice::kernels::dense {
namespace {

/// By which a graph and a run name its tensors x, w, y.
constexpr std::array<int64_t, 3> kIds{1, 2, 3};

Descriptor make_tensor(const std::array<int64_t, 4>& sizes, size_t which, int64_t alignment) {
  const PlanarDims dims = planar_dims(sizes);
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT);
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, dims.sizes);
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, dims.steps);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, kIds[which]);
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
  tensor.finish();
  return tensor;
}

Descriptor make_walk(const Conv2dGeometry& geometry) {
  Descriptor walk(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  walk.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  walk.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  walk.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t(2));
  walk.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, geometry.padding);
  walk.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, geometry.padding);
  walk.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, geometry.stride);
  walk.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, geometry.dilation);
  walk.finish();
  return walk;
}

/// The names of one operation's attributes.
struct OperationNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t x, w, y, walk, alpha, beta;
};
constexpr OperationNames kOperations[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};

/// "eng70 k2=4 k18=0" of an engine configuration; its knobs in the order of their numbers.
std::string name_of(const Descriptor& engine, const Descriptor& config) {
  std::vector<std::pair<int, int64_t>> knobs;
  for (const Descriptor& choice :
       config.get_descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                              CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS))
    knobs.emplace_back(int(choice.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE)),
                       choice.get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  std::sort(knobs.begin(), knobs.end());
  std::string name = fmt::format("eng{}", engine.get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  for (const auto& [knob, value] : knobs) name += fmt::format(" k{}={}", knob, value);
  return name;
}

struct EngineName {
  int64_t engine = 0;
  std::vector<std::pair<int, int64_t>> knobs;
};

/// Takes `prefix` and the number behind it off the front of `text`.
bool take(std::string_view& text, std::string_view prefix, int64_t& number) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(size_t(end - text.data()));
  return true;
}

EngineName parse(const std::string& name) {
  EngineName parsed;
  std::string_view rest = name;
  bool ok = take(rest, "eng", parsed.engine);
  while (ok && !rest.empty()) {
    int64_t knob = 0, value = 0;
    ok = take(rest, " k", knob) && take(rest, "=", value);
    parsed.knobs.emplace_back(int(knob), value);
  }
  check<DeviceError>(ok, "cuDNN: '{}' is no name of an engine", name);
  return parsed;
}

}  // namespace

CudnnTarget described_target(const std::string& json) {
  CudnnTarget target;
  target.described = Descriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  target.described.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                       int64_t(json.size() + 1), json.c_str());
  target.described.finish();
  return target;
}

ConvGraph::ConvGraph(const ConvProblem& p, const CudnnTarget& target)
    : target_(target),
      precision_(p.precision),
      x_(make_tensor(p.x, 0, p.alignment[0])),
      w_(make_tensor(p.w, 1, p.alignment[1])),
      y_(make_tensor(p.y, 2, p.alignment[2])),
      walk_(make_walk(p.geometry)) {
  const OperationNames& names = kOperations[size_t(p.kind)];
  operation_ = Descriptor(names.type);
  operation_.set(names.x, x_);
  operation_.set(names.w, w_);
  operation_.set(names.y, y_);
  operation_.set(names.walk, walk_);
  operation_.set(names.alpha, 1.0f);
  operation_.set(names.beta, 0.0f);
  operation_.finish();
  graph_ = Descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation_);
  if (target.handle)
    graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
  graph_.finish();
}

bool ConvGraph::is_allowed(const Descriptor& engine) const {
  for (const auto note : engine.get<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                                 CUDNN_NUMERICAL_NOTE_TYPE_COUNT)) {
    if (note == CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP) continue;
    if (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && precision_ != Precision::f32) continue;
    return false;
  }
  return true;
}

void ConvGraph::propose(cudnnBackendHeurMode_t mode, std::vector<std::string>& names) const {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (target_.described) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, target_.described);
  heuristics.finish();
  const int64_t room = heuristics.count(CUDNN_ATTR_ENGINEHEUR_RESULTS);
  for (const Descriptor& config : heuristics.get_descriptors(
           CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, room)) {
    const auto engines =
        config.get_descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
    if (engines.empty() || !is_allowed(engines[0])) continue;
    std::string name = name_of(engines[0], config);
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  }
}

std::vector<std::string> ConvGraph::engines() const {
  std::vector<std::string> names;
  propose(CUDNN_HEUR_MODE_A, names);
  propose(CUDNN_HEUR_MODE_FALLBACK, names);
  return names;
}

EnginePlan ConvGraph::plan(const std::string& name) const {
  const EngineName wanted = parse(name);
  EnginePlan p;
  p.engine = Descriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  p.engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph_);
  p.engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, wanted.engine);
  if (target_.described) p.engine.set(CUDNN_ATTR_ENGINE_DEVICEPROP, target_.described);
  p.engine.finish();
  check<DeviceError>(is_allowed(p.engine), "cuDNN: engine '{}' may not be used for it", name);

  std::vector<Descriptor> choices;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const auto& [knob, value] : wanted.knobs) {
    Descriptor& choice = choices.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    choice.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, cudnnBackendKnobType_t(knob));
    choice.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
    choice.finish();
    raw.push_back(choice.raw());
  }
  p.config = Descriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  p.config.set(CUDNN_ATTR_ENGINECFG_ENGINE, p.engine);
  if (!raw.empty())
    p.config.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                 int64_t(raw.size()), raw.data());
  p.config.finish();
  p.plan = Descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  if (target_.handle)
    p.plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &target_.handle);
  if (target_.described) p.plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, target_.described);
  p.plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, p.config);
  p.plan.finish();
  p.workspace = p.plan.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  return p;
}

void execute(const EnginePlan& plan, cudnnHandle_t handle, std::array<void*, 3> xwy,
             void* workspace) {
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, kIds);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, int64_t(xwy.size()),
           xwy.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finish();
  check_cudnn(cudnn().execute(handle, plan.plan.raw(), pack.raw()), "cudnnBackendExecute");
}

}  // namespace apprentice::kernels::dense
