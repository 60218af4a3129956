#include <algorithm>

#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/cudnn/conv_graph_internal.h>
#include <apprentice/kernels/dense/plans/engine_name_internal.h>

namespace apprentice::kernels::dense {
namespace {

/// By which a graph and a run name its tensors x, w, y.
constexpr std::array<int64_t, 3> kIds{1, 2, 3};

/// Of a tensor that is only there between two operations of a graph.
constexpr int64_t kVirtualId = 4;

Descriptor make_tensor(const std::array<int64_t, 4>& sizes, int64_t id, int64_t alignment,
                       cudnnDataType_t type) {
  const PlanarDims dims = planar_dims(sizes);
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, dims.sizes);
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, dims.steps);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  tensor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, id == kVirtualId);
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

std::string name_of(const Descriptor& engine, const Descriptor& config) {
  EngineName name;
  name.engine = engine.get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  for (const Descriptor& choice :
       config.get_descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                              CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS))
    name.knobs.emplace_back(
        int(choice.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE)),
        choice.get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  return name.text();
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

std::array<size_t, 2> factors_of(ConvKind kind) {
  constexpr std::array<size_t, 2> kFactors[] = {{0, 1}, {1, 2}, {0, 2}};
  return kFactors[size_t(kind)];
}

ConvGraph::ConvGraph(const ConvProblem& p, const CudnnTarget& target, Factors factors)
    : target_(target), precision_(p.precision), factors_(factors), walk_(make_walk(p.geometry)) {
  const std::array<int64_t, 4>* sizes[] = {&p.x, &p.w, &p.y};
  const auto [first, second] = factors_of(p.kind);
  const bool narrow = factors == Factors::bf16;
  for (size_t i = 0; i < 3; ++i) {
    const bool factor = i == first || i == second;
    const auto type = narrow && factor ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    xwy_[i] = make_tensor(*sizes[i], narrow && !factor ? kVirtualId : kIds[i],
                          narrow && factor ? 16 : p.alignment[i], type);
  }
  const OperationNames& names = kOperations[size_t(p.kind)];
  operation_ = Descriptor(names.type);
  operation_.set(names.x, xwy_[0]);
  operation_.set(names.w, xwy_[1]);
  operation_.set(names.y, xwy_[2]);
  operation_.set(names.walk, walk_);
  operation_.set(names.alpha, 1.0f);
  operation_.set(names.beta, 0.0f);
  operation_.finish();
  if (narrow) widen(p);
  const cudnnBackendDescriptor_t operations[] = {operation_.raw(), widening_.raw()};
  graph_ = Descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, narrow ? 2 : 1,
             operations);
  if (target.handle)
    graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
  graph_.finish();
}

/// A convolution of bf16 factors alone gives bf16. Its f32 sums are kept by an operation behind it
/// that passes them on.
void ConvGraph::widen(const ConvProblem& p) {
  const std::array<int64_t, 4>* sizes[] = {&p.x, &p.w, &p.y};
  const auto [first, second] = factors_of(p.kind);
  const size_t at = 3 - first - second;
  result_ = make_tensor(*sizes[at], kIds[at], p.alignment[at], CUDNN_DATA_FLOAT);
  identity_ = Descriptor(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  identity_.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_IDENTITY);
  identity_.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  identity_.finish();
  widening_ = Descriptor(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  widening_.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, identity_);
  widening_.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, xwy_[at]);
  widening_.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, result_);
  widening_.finish();
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
    std::string name = fmt::format("{}{}", prefix_of(factors_), name_of(engines[0], config));
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
  const std::string_view prefix = prefix_of(factors_);
  check<DeviceError>(name.starts_with(prefix), "cuDNN: '{}' is no engine for {}factors", name,
                     prefix);
  const EngineName wanted = parse_engine(std::string_view(name).substr(prefix.size()));
  EnginePlan p;
  p.name = name;
  p.factors = factors_;
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
