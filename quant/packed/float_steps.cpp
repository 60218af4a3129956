#include <apprentice/kernels/ordered_conv2d.h>
#include <apprentice/kernels/ordered_linear.h>
#include <apprentice/packed/step_internal.h>

namespace apprentice::packed {
namespace {

/// Gives back weights that the kernel reads in its own form.
void drop(Numbers& weights, Step& step) {
  step.memory -= weights.bytes();
  weights = {};
}

class Stem final : public Step {
 public:
  using Op = kernels::OrderedConv2d;

  Stem(const SafetensorsFile& file, const Layer& l, const Activation& in, const Options& options) {
    layer = l;
    x = in;
    y = output_map(file, layer, x);
    const Shape shape = {layer.out, layer.kernel[0], layer.kernel[1], layer.in};
    info.stored = "f32";
    info.weights = shape.numel();
    info.macs = info.weights * y.height * y.width;
    weight_ = Numbers(read_floats(file, *this, "weight", shape), options.device);
    constants_ = read_constants(file, *this, options.device, false);
    kernel_ = &choose<Op>(arguments(), options, *this);
    prepacked_ = prepack(*kernel_, arguments(), *this);
    if (prepacked_) drop(weight_, *this);
  }

  void run(const Chunk& chunk) const override {
    Op::Args args = arguments();
    args.prepacked = prepacked_.get();
    args.x = x.view<const float>(chunk.x, chunk.images);
    args.y = y.view<uint8_t>(chunk.y, chunk.images);
    if (!chunk.trace) return kernel_->run(args, chunk.stream);
    const Buffer sums(size_t(args.y.numel()) * sizeof(float), chunk.stream.device);
    args.sums = {static_cast<float*>(sums.data()), args.y.sizes};
    kernel_->run(args, chunk.stream);
    LayerTrace made;
    made.sums = args.sums;
    made.codes = args.y;
    hand_out(chunk, layer, made);
  }

 private:
  Op::Args arguments() const {
    Op::Args args;
    args.w = {weight_.data(), {layer.out, layer.kernel[0], layer.kernel[1], layer.in}};
    args.geometry = geometry_of(layer);
    args.epilogue = constants_.epilogue(layer);
    return args;
  }

  Numbers weight_;
  Constants constants_;
  const kernels::Kernel<Op>* kernel_;
  std::shared_ptr<const kernels::Prepacked> prepacked_;
};

class Linear final : public Step {
 public:
  using Op = kernels::OrderedLinear;

  Linear(const SafetensorsFile& file, const Layer& l, const Activation& in,
         const Options& options) {
    layer = l;
    x = in;
    check<DamagedFile>(x.channels == layer.in, "{}: layer '{}': in is {}, but activation {} has {}",
                       file.name(), layer.name, layer.in, layer.x, x.channels);
    y.channels = layer.out;
    info.stored = "f32";
    info.weights = layer.out * layer.in + layer.out;
    info.macs = layer.out * layer.in;
    const Shape shape = {layer.out, layer.in};
    weight_ = Numbers(read_floats(file, *this, "weight", shape), options.device);
    bias_ = Numbers(read_floats(file, *this, "bias", {layer.out}), options.device);
    kernel_ = &choose<Op>(arguments(), options, *this);
    prepacked_ = prepack(*kernel_, arguments(), *this);
    if (prepacked_) drop(weight_, *this);
  }

  void run(const Chunk& chunk) const override {
    Op::Args args = arguments();
    args.prepacked = prepacked_.get();
    args.x = {static_cast<const float*>(chunk.x), {chunk.images, layer.in}};
    args.y = {static_cast<float*>(chunk.y), {chunk.images, layer.out}};
    kernel_->run(args, chunk.stream);
    LayerTrace made;
    made.values = args.y;
    hand_out(chunk, layer, made);
  }

 private:
  Op::Args arguments() const {
    Op::Args args;
    args.w = {weight_.data(), {layer.out, layer.in}};
    args.bias = bias_.view();
    return args;
  }

  Numbers weight_, bias_;
  const kernels::Kernel<Op>* kernel_;
  std::shared_ptr<const kernels::Prepacked> prepacked_;
};

}  // namespace

std::unique_ptr<Step> make_stem(const SafetensorsFile& file, const Layer& layer,
                                const Activation& x, const Options& options) {
  return std::make_unique<Stem>(file, layer, x, options);
}
std::unique_ptr<Step> make_linear(const SafetensorsFile& file, const Layer& layer,
                                  const Activation& x, const Options& options) {
  return std::make_unique<Linear>(file, layer, x, options);
}

}  // namespace apprentice::packed
