#include <apprentice/kernels/ordered_pool.h>
#include <apprentice/kernels/pool.h>
#include <apprentice/packed/step_internal.h>

namespace apprentice::packed {
namespace {

class MaxPool final : public Step {
 public:
  using Op = kernels::MaxPool2d<uint8_t>;

  MaxPool(const SafetensorsFile& file, const Layer& l, const Activation& in,
          const Options& options) {
    layer = l;
    x = in;
    y = window_map(file, layer, x);
    kernel_ = &choose<Op>(arguments(), options, *this);
  }

  void run(const Chunk& chunk) const override {
    Op::Args args = arguments();
    args.x = x.view<const uint8_t>(chunk.x, chunk.images);
    args.y = y.view<uint8_t>(chunk.y, chunk.images);
    kernel_->run(args, chunk.stream);
    LayerTrace made;
    made.codes = args.y;
    hand_out(chunk, layer, made);
  }

 private:
  Op::Args arguments() const {
    Op::Args args;
    args.geometry.kernel_size = layer.kernel;
    args.geometry.stride = layer.stride;
    args.geometry.padding = layer.padding;
    return args;
  }

  const kernels::Kernel<Op>* kernel_;
};

class GlobalPool final : public Step {
 public:
  using Op = kernels::OrderedPool<uint8_t>;

  GlobalPool(const Layer& l, const Activation& in, const Options& options) {
    layer = l;
    x = in;
    y.channels = x.channels;
    kernel_ = &choose<Op>(Op::Args{}, options, *this);
  }

  void run(const Chunk& chunk) const override {
    Op::Args args;
    args.x = x.view<const uint8_t>(chunk.x, chunk.images);
    args.step = layer.step;
    args.y = {static_cast<float*>(chunk.y), {chunk.images, y.channels}};
    kernel_->run(args, chunk.stream);
    LayerTrace made;
    made.values = args.y;
    hand_out(chunk, layer, made);
  }

 private:
  const kernels::Kernel<Op>* kernel_;
};

}  // namespace

std::unique_ptr<Step> make_max_pool(const SafetensorsFile& file, const Layer& layer,
                                    const Activation& x, const Options& options) {
  return std::make_unique<MaxPool>(file, layer, x, options);
}
std::unique_ptr<Step> make_global_pool(const Layer& layer, const Activation& x,
                                       const Options& options) {
  return std::make_unique<GlobalPool>(layer, x, options);
}

}  // namespace apprentice::packed
