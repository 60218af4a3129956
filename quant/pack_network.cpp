#include <apprentice/quant/pack_internal.h>

#include <algorithm>
#include <cstring>
#include <list>

#include <apprentice/base/error.h>
#include <apprentice/base/rng.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/pool.h>
#include <apprentice/nn/linear.h>
#include <apprentice/nn/on_device.h>
#include <apprentice/nn/pool.h>
#include <apprentice/packed/description.h>
#include <apprentice/packed/packed_network.h>
#include <apprentice/quant/packed_weight_internal.h>
#include <apprentice/quant/trace_internal.h>

namespace apprentice::quant {
namespace {

/// The tensors of a packed file, kept alive until they are written.
class Tensors {
 public:
  void add(const std::string& name, const Tensor& tensor) {
    kept_.push_back(tensor.detach());
    const Tensor& own = kept_.back();
    entries_.push_back(tensor_bytes<float>(
        name, own.shape(), {std::as_const(own).data<float>(), size_t(own.numel())}));
  }
  void add(const std::string& name, PackedWeight weight) {
    add(name + ".weight_scale", weight.weight.scale);
    if (weight.weight.scale_negative) add(name + ".weight_scale_neg", weight.weight.scale_negative);
    bytes_.push_back(std::move(weight.bytes));
    const Shape shape{int64_t(bytes_.back().size()) / weight.row_bytes, weight.row_bytes};
    entries_.push_back(tensor_bytes<uint8_t>(name + ".weight_packed", shape, bytes_.back()));
  }
  const std::vector<TensorBytes>& entries() const { return entries_; }

 private:
  std::list<Tensor> kept_;
  std::list<std::vector<uint8_t>> bytes_;
  std::vector<TensorBytes> entries_;
};

bool same_values(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), size_t(a.numel()) * 4) == 0;
}

/// Is `shortcut` what option A makes of `from`?
bool is_option_a(const nn::Scaled& from, const nn::Scaled& shortcut) {
  const Shape& wide = from.data.shape();
  const Shape& narrow = shortcut.data.shape();
  if (wide.rank() != 4 || wide[3] > narrow[3] || from.step.item() != shortcut.step.item() ||
      from.zero_point != 0)
    return false;
  for (int64_t stride : {1, 2})
    if ((wide[1] + stride - 1) / stride == narrow[1] &&
        (wide[2] + stride - 1) / stride == narrow[2])
      return same_values(shortcut_a(from.data, narrow[3], stride), shortcut.data);
  return false;
}

/// Writes down a traced network, layer by layer; activation 0 is the image.
class Writer {
 public:
  Writer(const TracedForward& traced, const PackOptions& options) : traced_(traced) {
    network_.height = options.height;
    network_.width = options.width;
    network_.channels = options.channels;
    for (const TracedLayer& each : traced.layers) {
      check<ConfigError>(each.seen.y.coded(),
                         "pack: the activations of {} are f32, but those of other layers are "
                         "quantized; expected all of them or none",
                         each.layer.name);
      if (each.layer.fused)
        add(each);
      else
        add_pool(each);
    }
  }

  void add_head(const Layer& linear) {
    const auto& options = dynamic_cast<nn::Linear&>(*linear.module).options();
    const nn::Scaled& last = traced_.layers.back().seen.y;
    packed::Layer pool;
    pool.op = "global_avg_pool";
    pool.name = "pool";
    pool.x = int64_t(traced_.layers.size());
    pool.y = pool.x + 1;
    pool.step = float(last.step.item());
    network_.layers.push_back(pool);
    packed::Layer head;
    head.op = "linear";
    head.name = linear.name;
    head.x = pool.y;
    head.y = pool.y + 1;
    head.in = options.in;
    head.out = options.out;
    network_.layers.push_back(head);
    check_finite(linear.name + ".weight", linear.module->parameter("weight"));
    tensors_.add(linear.name + ".weight", linear.module->parameter("weight"));
    const bool bias = options.bias;
    tensors_.add(linear.name + ".bias",
                 bias ? linear.module->parameter("bias") : Tensor::zeros({options.out}));
  }

  const packed::Description& network() const { return network_; }
  const Tensors& tensors() const { return tensors_; }

 private:
  void add(const TracedLayer& each) {
    const auto& [layer, seen] = each;
    const nn::Conv2d::Options& conv = layer.fused->options().conv;
    check<ConfigError>(conv.groups == 1 && conv.dilation == std::array<int64_t, 2>{1, 1},
                       "pack: {} has {} groups and dilation {}, expected 1 and 1", layer.name,
                       conv.groups, conv.dilation[0]);
    packed::Layer entry;
    entry.op = seen.x.coded() ? "conv" : "stem";
    entry.name = layer.name;
    entry.x = seen.x.coded() ? input_of(each) : 0;
    entry.y = int64_t(network_.layers.size()) + 1;
    entry.in = conv.in;
    entry.out = conv.out;
    entry.kernel = conv.kernel_size;
    entry.stride = conv.stride;
    entry.padding = conv.padding;
    entry.max_code = int32_t(seen.y.max_code);
    entry.zero_point = int32_t(seen.y.zero_point);
    if (seen.x.coded())
      add_codes(each, entry);
    else
      add_real(each);
    add_constants(layer.name, seen);
    network_.layers.push_back(entry);
  }

  void add_pool(const TracedLayer& each) {
    const Pool2dOptions& pool = dynamic_cast<nn::MaxPool2d&>(*each.layer.module).options();
    packed::Layer entry;
    entry.op = "max_pool";
    entry.name = each.layer.name;
    entry.x = input_of(each);
    entry.y = int64_t(network_.layers.size()) + 1;
    entry.kernel = pool.kernel_size;
    entry.stride = pool.stride;
    entry.padding = pool.padding;
    network_.layers.push_back(entry);
  }

  int64_t input_of(const TracedLayer& each) const {
    const int64_t number = number_of(each.seen.x);
    check<ConfigError>(number >= 0, "pack: the input of {} is not the output of a layer",
                       each.layer.name);
    return number;
  }

  void add_real(const TracedLayer& each) {
    const auto& [layer, seen] = each;
    check<ConfigError>(!layer.weights(),
                       "pack: {} reads f32 images, so its weight must stay f32; quant.keep should "
                       "name it",
                       layer.name);
    check<ConfigError>(!seen.residual.data.defined(), "pack: {} reads f32 images and a shortcut",
                       layer.name);
    const Tensor weight = layer.module->parameter("weight");
    check_finite(layer.name + ".weight", weight);
    tensors_.add(layer.name + ".weight", weight);
  }

  void add_codes(const TracedLayer& each, packed::Layer& entry) {
    const auto& [layer, seen] = each;
    check<ConfigError>(layer.weights() != nullptr,
                       "pack: the weight of {} is f32 (quant.keep or an override), but its input "
                       "is quantized; expected a quantized weight",
                       layer.name);
    PackedWeight weight = packed_weight(layer);
    entry.weights = weight.kind;
    tensors_.add(layer.name, std::move(weight));
    if (!seen.residual.data.defined()) return;
    entry.residual = seen.residual.coded() ? number_of(seen.residual) : -1;
    entry.r = seen.r;
    check<ConfigError>(
        entry.residual >= 0,
        "pack: the shortcut into {} is no layer's output, nor an option-A view of one", layer.name);
  }

  void add_constants(const std::string& name, const nn::Observation& seen) {
    check_finite(name + ".a", seen.a);
    check_finite(name + ".b", seen.b);
    tensors_.add(name + ".a", seen.a);
    tensors_.add(name + ".b", seen.b);
    if (seen.a_negative) tensors_.add(name + ".a_neg", seen.a_negative);
  }

  /// The activation that x is or, through option A, views; -1 if there is none.
  int64_t number_of(const nn::Scaled& x) const {
    const auto outputs = int64_t(network_.layers.size());
    for (int64_t i = 0; i < outputs; ++i)
      if (output(i).data.impl() == x.data.impl()) return i + 1;
    for (int64_t i = outputs; i-- > 0;)
      if (is_option_a(output(i), x)) return i + 1;
    return -1;
  }
  const nn::Scaled& output(int64_t layer) const { return traced_.layers[size_t(layer)].seen.y; }

  const TracedForward& traced_;
  packed::Description network_;
  Tensors tensors_;
};

std::string file_of(std::vector<TensorBytes> tensors,
                    const std::map<std::string, std::string>& metadata) {
  std::string bytes = safetensors_header(tensors, metadata);
  for (const TensorBytes& each : tensors)
    bytes.append(reinterpret_cast<const char*>(each.data.data()), each.data.size());
  return bytes;
}

/// Runs what would be written, on the traced image.
void check_same_logits(const TracedForward& traced, const Tensor& image, const std::string& bytes) {
  const auto file = SafetensorsFile::parse(std::as_bytes(std::span(bytes)), "packed model");
  auto network = packed::PackedNetwork::load(file, packed::PackedNetwork::Options());
  Tensor logits = Tensor::empty(traced.logits.shape());
  network.forward(image.view<float, 4>(), logits.view<float, 2>());
  check<CheckFailed>(same_values(logits, traced.logits),
                     "pack: the packed network gives other logits than the model; nothing was "
                     "written");
}

Layer only_linear(const std::vector<Layer>& all) {
  const Layer* found = nullptr;
  for (const Layer& layer : all) {
    if (layer.fused) continue;
    check<ConfigError>(dynamic_cast<nn::Linear*>(layer.module) && !found,
                       "pack: {} does not fit, expected fused convolutions, max pooling, global "
                       "average pooling and one linear layer",
                       layer.name);
    check<ConfigError>(!layer.weights(),
                       "pack: the weight of {} must stay f32 where activations are quantized; "
                       "quant.keep should name it",
                       layer.name);
    found = &layer;
  }
  check<ConfigError>(found, "pack: the model has no linear layer, expected one at its end");
  return *found;
}

}  // namespace

std::string packed_bytes(nn::TensorModule& model, const ModelInfo& info,
                         const PackOptions& options) {
  const nn::OnDevice on_host(model, Device{});
  Rng rng(1, RngPurpose::test);
  const Tensor image =
      Tensor::normal({1, options.height, options.width, options.channels}, 0, 1, rng);
  const Layer linear = only_linear(layers(model));
  const TracedForward traced = traced_forward(model, image);
  NoGrad no_grad;
  Writer writer(traced, options);
  writer.add_head(linear);
  std::string bytes = file_of(writer.tensors().entries(), metadata_of(info, writer.network()));
  check_same_logits(traced, image, bytes);
  return bytes;
}

}  // namespace apprentice::quant
