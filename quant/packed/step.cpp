#include <cmath>

#include <apprentice/base/stream.h>
#include <apprentice/packed/step_internal.h>

namespace apprentice::packed {

Numbers::Numbers(const std::vector<float>& values, Device device) : size_(int64_t(values.size())) {
  memory_ = std::make_unique<Buffer>(size_t(bytes()), device);
  copy_bytes(memory_->data(), device, values.data(), {}, size_t(bytes()), current_stream(device));
}

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

Constants read_constants(const SafetensorsFile& file, Step& step, Device device, bool two_step) {
  const auto read = [&](const char* suffix) {
    return Numbers(read_floats(file, step, suffix, {step.layer.out}), device);
  };
  Constants constants;
  constants.a = read("a");
  constants.b = read("b");
  if (two_step) constants.a_negative = read("a_neg");
  return constants;
}

kernels::Epilogue Constants::epilogue(const Layer& layer) const {
  return {a.view(), a_negative.view(), b.view(), layer.r, layer.max_code};
}

kernels::Conv2dGeometry geometry_of(const Layer& layer) {
  kernels::Conv2dGeometry geometry;
  geometry.stride = layer.stride;
  geometry.padding = layer.padding;
  return geometry;
}

namespace {

/// Copies of what lies in the memory of another device.
class HostCopies {
 public:
  explicit HostCopies(Stream stream) : stream_(stream) {}

  /// `view` on the host, once the stream has written it.
  template <class T, int R>
  void bring(View<const T, R>& view) {
    if (!view || stream_.device.is_cpu()) return;
    const size_t bytes = size_t(view.numel()) * sizeof(T);
    memory_.push_back(std::make_unique<Buffer>(bytes));
    void* const to = memory_.back()->data();
    copy_bytes(to, {}, view.data, stream_.device, bytes, stream_);
    view.data = static_cast<const T*>(to);
  }

 private:
  Stream stream_;
  std::vector<std::unique_ptr<Buffer>> memory_;
};

}  // namespace

void hand_out(const Chunk& chunk, const Layer& layer, LayerTrace made) {
  if (!chunk.trace) return;
  made.layer = &layer;
  made.first_image = chunk.first;
  HostCopies copies(chunk.stream);
  copies.bring(made.acc);
  copies.bring(made.acc_negative);
  copies.bring(made.sums);
  copies.bring(made.codes);
  copies.bring(made.values);
  (*chunk.trace)(made);
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
