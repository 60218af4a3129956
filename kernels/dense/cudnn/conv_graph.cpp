#include <algorithm>

#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/cudnn/conv_graph_internal.h>
#include <apprentice/kernels/dense/plans/engine_name_internal.h>

namespace apprentice::kernels::dense {
namespace {

/// By which a graph and a run name the tensor of a place.
constexpr int64_t id_of(size_t place) { return int64_t(place) + 1; }
/// Tensors that are only there between two operations of a graph get the numbers from here on.
constexpr int64_t kFirstVirtualId = 100;

cudnnDataType_t type_of(Dtype dtype) {
  return dtype == Dtype::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

Descriptor make_tensor(const std::array<int64_t, 4>& sizes, int64_t id, int64_t alignment,
                       cudnnDataType_t type) {
  const PlanarDims dims = planar_dims(sizes);
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type);
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, dims.sizes);
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, dims.steps);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  tensor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, id >= kFirstVirtualId);
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

std::array<Dtype, 3> planned_types(const ConvProblem& p, Factors factors) {
  if (factors == Factors::f32) return {Dtype::f32, Dtype::f32, Dtype::f32};
  std::array<Dtype, 3> types{Dtype::bf16, Dtype::bf16, Dtype::bf16};
  const size_t result = result_of(p.kind);
  types[result] = p.types[result];
  return types;
}

ConvGraph::ConvGraph(const ConvProblem& p, const CudnnTarget& target, Factors factors)
    : target_(target), precision_(p.precision), factors_(factors) {
  const std::array<Dtype, 3> types = planned_types(p, factors);
  const size_t result = result_of(p.kind);
  // Factors of bf16 alone give bf16; f32 sums are there between two operations.
  const bool wide = factors != Factors::f32 && types[result] == Dtype::f32;
  const bool goes_on = wide || (factors == Factors::bf16 && p.has_epilogue());
  std::array<cudnnBackendDescriptor_t, 3> xwy{};
  const std::array<int64_t, 4>* sizes[] = {&p.x, &p.w, &p.y};
  for (size_t i = 0; i < 3; ++i)
    xwy[i] = goes_on && i == result ? between(*sizes[i]) : tensor(p, i, types[i]);
  Descriptor walk = make_walk(p.geometry);
  const OperationNames& names = kOperations[size_t(p.kind)];
  Descriptor operation(names.type);
  operation.set(names.x, xwy[kX]);
  operation.set(names.w, xwy[kW]);
  operation.set(names.y, xwy[kY]);
  operation.set(names.walk, keep(std::move(walk)));
  operation.set(names.alpha, 1.0f);
  operation.set(names.beta, 0.0f);
  operation.finish();
  std::vector<cudnnBackendDescriptor_t> operations{keep(std::move(operation))};
  if (goes_on)
    for (const auto next : follow(p, xwy[result])) operations.push_back(next);
  graph_ = Descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
             int64_t(operations.size()), operations.data());
  if (target.handle)
    graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
  graph_.finish();
}

cudnnBackendDescriptor_t ConvGraph::keep(Descriptor part) {
  return parts_.emplace_back(std::move(part)).raw();
}

/// That of a place, in memory: as it lies, or a copy in `type`, which the allocator aligns.
cudnnBackendDescriptor_t ConvGraph::tensor(const ConvProblem& p, size_t place, Dtype type) {
  const std::array<int64_t, 4> bias{1, 1, 1, p.y[3]};
  const std::array<int64_t, 4>* sizes[] = {&p.x, &p.w, &p.y, &bias, &p.y};
  constexpr size_t kLikes[] = {kX, kW, kY, kW, kY};
  const size_t like = kLikes[place];
  places_.push_back(place);
  return keep(make_tensor(*sizes[place], id_of(place),
                          type == p.types[like] ? p.alignment[like] : 16, type_of(type)));
}

/// One between two operations, in f32.
cudnnBackendDescriptor_t ConvGraph::between(const std::array<int64_t, 4>& sizes) {
  return keep(make_tensor(sizes, kFirstVirtualId + int64_t(parts_.size()), 16, CUDNN_DATA_FLOAT));
}

/// What follows the sums of bf16 factors, the last of which writes the result: nothing but that
/// where nothing else does.
std::vector<cudnnBackendDescriptor_t> ConvGraph::follow(const ConvProblem& p,
                                                        cudnnBackendDescriptor_t sums) {
  struct Step {
    cudnnPointwiseMode_t mode;
    cudnnBackendDescriptor_t b;
  };
  std::vector<Step> steps;
  const bool whole = factors_ == Factors::bf16;
  if (whole && p.bias) steps.push_back({CUDNN_POINTWISE_ADD, tensor(p, kBias, p.types[kW])});
  if (whole && p.residual)
    steps.push_back({CUDNN_POINTWISE_ADD, tensor(p, kResidual, p.types[kY])});
  if (whole && p.relu) steps.push_back({CUDNN_POINTWISE_RELU_FWD, nullptr});
  if (steps.empty()) steps.push_back({CUDNN_POINTWISE_IDENTITY, nullptr});
  const size_t result = result_of(p.kind);
  const std::array<int64_t, 4>& sizes = result == kX ? p.x : result == kW ? p.w : p.y;
  std::vector<cudnnBackendDescriptor_t> operations;
  cudnnBackendDescriptor_t x = sums;
  for (const Step& step : steps) {
    const bool last = &step == &steps.back();
    const auto y = last ? tensor(p, result, p.types[result]) : between(sizes);
    operations.push_back(pointwise(step.mode, x, step.b, y));
    x = y;
  }
  return operations;
}

cudnnBackendDescriptor_t ConvGraph::pointwise(cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
                                              cudnnBackendDescriptor_t b,
                                              cudnnBackendDescriptor_t y) {
  Descriptor function(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  function.set(CUDNN_ATTR_POINTWISE_MODE, mode);
  function.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  // As the ReLU of our own kernels; what is done with a NaN where nothing is set is not said.
  if (mode == CUDNN_POINTWISE_RELU_FWD)
    function.set(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_PROPAGATE_NAN);
  function.finish();
  Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(function)));
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  operation.finish();
  return keep(std::move(operation));
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
  p.places = places_;
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

void execute(const EnginePlan& plan, cudnnHandle_t handle, const ConvAddresses& memory,
             void* workspace) {
  std::vector<int64_t> ids;
  std::vector<void*> addresses;
  for (const size_t place : plan.places) {
    ids.push_back(id_of(place));
    addresses.push_back(memory[place]);
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, int64_t(ids.size()), ids.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, int64_t(addresses.size()),
           addresses.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finish();
  check_cudnn(cudnn().execute(handle, plan.plan.raw(), pack.raw()), "cudnnBackendExecute");
}

}  // namespace apprentice::kernels::dense
