#include <cmath>

#include <apprentice/kernels/lowbit_conv2d.h>
#include <apprentice/packed/step_internal.h>

namespace apprentice::packed {
namespace {

/// Most taps whose sum of 255 * 8 each stays below 2^31.
constexpr int64_t kMostTaps = (int64_t(1) << 31) / (255 * 8);

template <int Bits>
class ConvStep final : public Step {
 public:
  using Op = kernels::LowbitConv2d<Bits>;

  ConvStep(const SafetensorsFile& file, const Layer& l, const Activation& in,
           const Activation& shortcut, const Options& options) {
    layer = l;
    two_step_ = layer.weights == "ttq";
    x = in;
    residual = shortcut;
    y = output_map(file, layer, x);
    check_shortcut(file);
    info.stored = layer.weights;
    info.weights = layer.out * taps();
    info.macs = info.weights * y.height * y.width;
    read_steps(file);
    constants_ = read_constants(file, *this, options.device, two_step_);
    prepare(read_weights(file), options);
  }

  void run(const Chunk& chunk) const override {
    auto args = arguments();
    args.x = x.view<const uint8_t>(chunk.x, chunk.images);
    if (layer.residual >= 0) {
      args.residual = residual.view<const uint8_t>(chunk.residual, chunk.images);
    }
    args.y = y.view<uint8_t>(chunk.y, chunk.images);
    args.prepacked = prepacked_.get();
    if (!chunk.trace) return kernel_->run(args, chunk.stream);
    const size_t bytes = size_t(args.y.numel()) * sizeof(int32_t);
    const Buffer acc(bytes, chunk.stream.device);
    const Buffer negative(two_step_ ? bytes : 0, chunk.stream.device);
    args.acc = {static_cast<int32_t*>(acc.data()), args.y.sizes};
    if (two_step_) args.acc_negative = {static_cast<int32_t*>(negative.data()), args.y.sizes};
    kernel_->run(args, chunk.stream);
    LayerTrace made;
    made.acc = args.acc;
    made.acc_negative = args.acc_negative;
    made.codes = args.y;
    hand_out(chunk, layer, made);
  }

 private:
  int64_t taps() const { return layer.kernel[0] * layer.kernel[1] * layer.in; }

  void check_shortcut(const SafetensorsFile& file) const {
    check<DamagedFile>(taps() <= kMostTaps, "{}: layer '{}': {} taps, expected at most {}",
                       file.name(), layer.name, taps(), kMostTaps);
    if (layer.residual < 0) return;
    const auto halved = [](int64_t size) { return (size + 1) / 2; };
    const bool whole = residual.height == y.height && residual.width == y.width;
    const bool half = halved(residual.height) == y.height && halved(residual.width) == y.width;
    const bool option_a = (whole || half) && residual.channels <= y.channels;
    const bool same = whole && residual.channels == y.channels;
    check<DamagedFile>(residual.zero_point ? same : option_a,
                       "{}: layer '{}': residual {} is [{}, {}, {}]{}, which does not fit the "
                       "output [{}, {}, {}]",
                       file.name(), layer.name, layer.residual, residual.height, residual.width,
                       residual.channels, residual.zero_point ? " with a zero point" : "", y.height,
                       y.width, y.channels);
  }

  /// The steps are not computed with (a and a_neg hold them), but must make sense.
  void read_steps(const SafetensorsFile& file) {
    const TensorInfo& scale = file.get(layer.name + ".weight_scale");
    const bool per_channel = scale.shape == Shape{layer.out} && !two_step_;
    check_steps(
        file, read_floats(file, *this, "weight_scale", per_channel ? Shape{layer.out} : Shape{1}));
    if (two_step_) check_steps(file, read_floats(file, *this, "weight_scale_neg", {1}));
    memory = 0;
  }
  void check_steps(const SafetensorsFile& file, const std::vector<float>& steps) const {
    for (const float step : steps) {
      check<DamagedFile>(step >= 0, "{}: layer '{}': weight_scale is {}, expected at least 0",
                         file.name(), layer.name, step);
    }
  }

  kernels::PackedCodes<Bits> read_weights(const SafetensorsFile& file) {
    const std::string name = layer.name + ".weight_packed";
    const TensorInfo& tensor = file.get(name);
    const Shape shape = {layer.out, kernels::packed_row_bytes(Bits, taps())};
    check<DamagedFile>(tensor.dtype == "U8" && tensor.shape == shape,
                       "{}: tensor '{}' is {} {}, expected U8 {}", file.name(), name, tensor.dtype,
                       tensor.shape.str(), shape.str());
    const kernels::PackedCodes<Bits> codes = {reinterpret_cast<const uint8_t*>(tensor.data.data()),
                                              layer.out, taps()};
    kernels::check_codes(codes, fmt::format("{}: tensor '{}'", file.name(), name));
    info.bytes += int64_t(tensor.data.size());
    return codes;
  }

  void prepare(const kernels::PackedCodes<Bits>& codes, const Options& options) {
    auto args = arguments();
    args.x.sizes = {1, x.height, x.width, x.channels};
    args.weight = codes;
    args.y.sizes = {1, y.height, y.width, y.channels};
    kernel_ = &choose<Op>(args, options, *this);
    prepacked_ = prepack(*kernel_, args, *this);
  }

  /// What is the same in every run; the codes themselves are not needed once prepacked.
  typename Op::Args arguments() const {
    typename Op::Args args;
    args.max_x = x.max_code;
    args.weight = {nullptr, layer.out, taps()};
    args.kernel_size = layer.kernel;
    args.geometry = geometry_of(layer);
    args.two_step = two_step_;
    args.epilogue = constants_.epilogue(layer);
    return args;
  }

  bool two_step_ = false;
  Constants constants_;
  const kernels::Kernel<Op>* kernel_ = nullptr;
  std::shared_ptr<const kernels::Prepacked> prepacked_;
};

}  // namespace

std::unique_ptr<Step> make_conv(const SafetensorsFile& file, const Layer& layer,
                                const Activation& x, const Activation& residual,
                                const Options& options) {
  if (layer.weights == "int4") {
    return std::make_unique<ConvStep<4>>(file, layer, x, residual, options);
  }
  return std::make_unique<ConvStep<2>>(file, layer, x, residual, options);
}

}  // namespace apprentice::packed
