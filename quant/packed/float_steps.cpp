#include <apprentice/kernels/ordered_conv2d.h>
#include <apprentice/kernels/ordered_linear.h>
#include <apprentice/packed/step_internal.h>

namespace apprentice::packed {
namespace {

/// Gives back weights that the kernel reads in its own form.
void drop(std::vector<float>& weights, Step& step) {
  step.memory -= int64_t(weights.size() * sizeof(float));
  weights = {};
}

class Stem final : public Step {
 public:
  using Op = kernels::OrderedConv2d;

  Stem(const SafetensorsFile& file, const Layer& l, const Activation& in,
       const kernels::Preference& preference) {
    layer = l;
    x = in;
    y = output_map(file, layer, x);
    const Shape shape = {layer.out, layer.kernel[0], layer.kernel[1], layer.in};
    info.stored = "f32";
    info.weights = shape.numel();
    info.macs = info.weights * y.height * y.width;
    weight_ = read_floats(file, *this, "weight", shape);
    constants_ = read_constants(file, *this, false);
    kernel_ = &choose<Op>(arguments(), preference, *this);
    prepacked_ = prepack(*kernel_, arguments(), *this);
    if (prepacked_) drop(weight_, *this);
  }

  void run(const Chunk& chunk) const override {
    Op::Args args = arguments();
    args.prepacked = prepacked_.get();
    args.x = x.view<const float>(chunk.x, chunk.images);
    args.y = y.view<uint8_t>(chunk.y, chunk.images);
    if (!chunk.trace) return kernel_->run(args, {});
    std::vector<float> sums(size_t(args.y.numel()));
    args.sums = {sums.data(), args.y.sizes};
    kernel_->run(args, {});
    LayerTrace trace;
    trace.layer = &layer;
    trace.first_image = chunk.first;
    trace.sums = args.sums;
    trace.codes = args.y;
    (*chunk.trace)(trace);
  }

 private:
  Op::Args arguments() const {
    Op::Args args;
    args.w = {weight_.data(), {layer.out, layer.kernel[0], layer.kernel[1], layer.in}};
    args.geometry = geometry_of(layer);
    args.epilogue = constants_.epilogue(layer);
    return args;
  }

  std::vector<float> weight_;
  Constants constants_;
  const kernels::Kernel<Op>* kernel_;
  std::shared_ptr<const kernels::Prepacked> prepacked_;
};

class Linear final : public Step {
 public:
  using Op = kernels::OrderedLinear;

  Linear(const SafetensorsFile& file, const Layer& l, const Activation& in,
         const kernels::Preference& preference) {
    layer = l;
    x = in;
    check<DamagedFile>(x.channels == layer.in, "{}: layer '{}': in is {}, but activation {} has {}",
                       file.name(), layer.name, layer.in, layer.x, x.channels);
    y.channels = layer.out;
    info.stored = "f32";
    info.weights = layer.out * layer.in + layer.out;
    info.macs = layer.out * layer.in;
    weight_ = read_floats(file, *this, "weight", {layer.out, layer.in});
    bias_ = read_floats(file, *this, "bias", {layer.out});
    kernel_ = &choose<Op>(arguments(), preference, *this);
    prepacked_ = prepack(*kernel_, arguments(), *this);
    if (prepacked_) drop(weight_, *this);
  }

  void run(const Chunk& chunk) const override {
    Op::Args args = arguments();
    args.prepacked = prepacked_.get();
    args.x = {static_cast<const float*>(chunk.x), {chunk.images, layer.in}};
    args.y = {static_cast<float*>(chunk.y), {chunk.images, layer.out}};
    kernel_->run(args, {});
    trace_values(chunk, layer, y);
  }

 private:
  Op::Args arguments() const {
    Op::Args args;
    args.w = {weight_.data(), {layer.out, layer.in}};
    args.bias = {bias_.data(), {layer.out}};
    return args;
  }

  std::vector<float> weight_, bias_;
  const kernels::Kernel<Op>* kernel_;
  std::shared_ptr<const kernels::Prepacked> prepacked_;
};

}  // namespace

std::unique_ptr<Step> make_stem(const SafetensorsFile& file, const Layer& layer,
                                const Activation& x, const kernels::Preference& preference) {
  return std::make_unique<Stem>(file, layer, x, preference);
}
std::unique_ptr<Step> make_linear(const SafetensorsFile& file, const Layer& layer,
                                  const Activation& x, const kernels::Preference& preference) {
  return std::make_unique<Linear>(file, layer, x, preference);
}

}  // namespace apprentice::packed
