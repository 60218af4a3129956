#include <cmath>

#include <apprentice/packed/step_internal.h>

namespace apprentice::packed {

std::vector<float> read_floats(const SafetensorsFile& file, Step& step, const std::string& suffix,
                               const Shape& shape) {
  const std::string name = step.layer.name + "." + suffix;
  const TensorInfo& tensor = file.get(name);
  check<DamagedFile>(tensor.dtype == "F32" && tensor.shape == shape,
                     "{}: tensor '{}' is {} {}, expected F32 {}", file.name(), name, tensor.dtype,
                     tensor.shape.str(), shape.str());
  std::vector<float> values = tensor.values<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    check<DamagedFile>(std::isfinite(values[i]), "{}: tensor '{}': element {} is {}, not finite",
                       file.name(), name, i, values[i]);
  }
  step.info.bytes += int64_t(tensor.data.size());
  step.memory += int64_t(tensor.data.size());
  return values;
}

Constants read_constants(const SafetensorsFile& file, Step& step, bool two_step) {
  const Shape shape = {step.layer.out};
  Constants constants;
  constants.a = read_floats(file, step, "a", shape);
  constants.b = read_floats(file, step, "b", shape);
  if (two_step) constants.a_negative = read_floats(file, step, "a_neg", shape);
  return constants;
}

kernels::Epilogue Constants::epilogue(const Layer& layer) const {
  const auto view = [](const std::vector<float>& values) {
    return View1<const float>{values.empty() ? nullptr : values.data(), {int64_t(values.size())}};
  };
  return {view(a), view(a_negative), view(b), layer.r, layer.max_code};
}

kernels::Conv2dGeometry geometry_of(const Layer& layer) {
  kernels::Conv2dGeometry geometry;
  geometry.stride = layer.stride;
  geometry.padding = layer.padding;
  return geometry;
}

void trace_values(const Chunk& chunk, const Layer& layer, const Activation& y) {
  if (!chunk.trace) return;
  LayerTrace trace;
  trace.layer = &layer;
  trace.first_image = chunk.first;
  trace.values = {static_cast<const float*>(chunk.y), {chunk.images, y.channels}};
  (*chunk.trace)(trace);
}

Activation window_map(const SafetensorsFile& file, const Layer& layer, const Activation& x) {
  const auto geometry = geometry_of(layer);
  Activation y;
  y.height = geometry.out_size(0, x.height, layer.kernel[0]);
  y.width = geometry.out_size(1, x.width, layer.kernel[1]);
  y.channels = x.channels;
  y.codes = true;
  y.max_code = x.max_code;
  check<DamagedFile>(y.height > 0 && y.width > 0,
                     "{}: layer '{}': a {}x{} window does not fit {}x{} pixels", file.name(),
                     layer.name, layer.kernel[0], layer.kernel[1], x.height, x.width);
  return y;
}

Activation output_map(const SafetensorsFile& file, const Layer& layer, const Activation& x) {
  check<DamagedFile>(x.channels == layer.in, "{}: layer '{}': in is {}, but activation {} has {}",
                     file.name(), layer.name, layer.in, layer.x, x.channels);
  Activation y = window_map(file, layer, x);
  y.channels = layer.out;
  y.max_code = layer.max_code;
  y.zero_point = layer.zero_point != 0;
  return y;
}

}  // namespace apprentice::packed
