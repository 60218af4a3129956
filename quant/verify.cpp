#include <apprentice/nn/eval_mode.h>
#include <apprentice/nn/on_device.h>
#include <apprentice/quant/verify.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/packed/packed_network.h>
#include <apprentice/quant/model_file.h>
#include <apprentice/quant/trace_internal.h>
#include <apprentice/quant/verify_internal.h>

namespace apprentice::quant {
namespace {

/// Images a slice, fewer where they are large: a trace keeps every accumulator in memory.
constexpr int64_t kSlice = 32, kSlicePixels = kSlice * 32 * 32;
int64_t slice_of(const Tensor& batch) {
  const int64_t pixels = std::max<int64_t>(batch.size(1) * batch.size(2), 1);
  return std::clamp<int64_t>(kSlicePixels / pixels, 1, kSlice);
}

/// The earliest difference found so far, by place in the network.
struct Difference {
  size_t place = std::numeric_limits<size_t>::max();
  std::string layer, text;

  bool found() const { return !text.empty(); }
};

std::string index_text(int64_t flat, const Tensor& like, int64_t first_image) {
  const Shape& shape = like.shape();
  std::vector<std::string> index(size_t(shape.rank()));
  for (int axis = shape.rank(); axis-- > 0; flat /= shape[axis])
    index[size_t(axis)] = std::to_string(flat % shape[axis] + (axis == 0 ? first_image : 0));
  std::string text = "[";
  for (size_t i = 0; i < index.size(); ++i) text += (i ? ", " : "") + index[i];
  return text + "]";
}

/// Compares what the packed network traces with what the model saw on the same images.
class Comparison {
 public:
  Comparison(const TracedForward& model, int64_t first_image)
      : model_(model), first_image_(first_image) {
    for (size_t i = 0; i < model.layers.size(); ++i) places_[model.layers[i].layer.name] = i;
  }

  void operator()(const packed::LayerTrace& packed) {
    const auto it = places_.find(packed.layer->name);
    if (it == places_.end() || it->second > difference_.place) return;
    const size_t place = it->second;
    const nn::Observation& seen = model_.layers[place].seen;
    if (packed.acc) compare(place, "accumulator", packed.acc, seen.sums, packed.first_image);
    if (packed.acc_negative)
      compare(place, "negative accumulator", packed.acc_negative, seen.sums_negative,
              packed.first_image);
    if (packed.sums) compare(place, "sum", packed.sums, seen.sums, packed.first_image);
    if (packed.codes) compare(place, "code", packed.codes, seen.y.data, packed.first_image);
  }

  int64_t integers() const { return integers_; }
  const Difference& difference() const { return difference_; }

 private:
  template <class T>
  void compare(size_t place, const char* what, View4<const T> got, const Tensor& expected,
               int64_t chunk) {
    const int64_t image = expected.numel() / expected.size(0);
    const float* reference = expected.data<float>() + chunk * image;
    integers_ += got.numel();
    if (place == difference_.place) return;
    for (int64_t i = 0, n = got.numel(); i < n; ++i) {
      if (float(got.data[i]) == reference[i]) continue;
      const std::string& name = model_.layers[place].layer.name;
      difference_ = {place, name,
                     fmt::format("{}: {} {} is {}, expected {}", name, what,
                                 index_text(chunk * image + i, expected, first_image_), got.data[i],
                                 reference[i])};
      return;
    }
  }

  const TracedForward& model_;
  std::map<std::string, size_t> places_;
  int64_t first_image_, integers_ = 0;
  Difference difference_;
};

void check_same_layers(const TracedForward& model, const packed::Description& network) {
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const std::string& name = model.layers[i].layer.name;
    const std::string other = i < network.layers.size() ? network.layers[i].name : "no layer";
    check<ConfigError>(name == other, "verify: layer {} of the model is {}, of the packed file {}",
                       i, name, other);
    check<ConfigError>(model.layers[i].seen.y.coded(),
                       "verify: {} of the model gives f32, of the packed file codes", name);
  }
}

void verify_slice(nn::TensorModule& model, packed::PackedNetwork& network, const Tensor& x,
                  VerifyReport& report) {
  const TracedForward traced = traced_forward(model, x);
  check_same_layers(traced, network.description());
  Tensor logits = Tensor::empty(traced.logits.shape());
  Comparison comparison(traced, report.images);
  network.forward(x.view<float, 4>(), logits.view<float, 2>(), std::ref(comparison));
  if (report.difference.empty()) {
    report.difference = comparison.difference().text;
    report.layer = comparison.difference().layer;
  }
  report.integers += comparison.integers();
  report.layers = int64_t(traced.layers.size());
  compare_logits(logits, traced.logits, 0, network.description().layers.back().name, report);
}

}  // namespace

void compare_logits(const Tensor& got, const Tensor& expected, float tolerance,
                    const std::string& layer, VerifyReport& report) {
  const float* a = got.data<float>();
  const float* b = expected.data<float>();
  const int64_t classes = expected.size(1);
  for (int64_t i = 0, n = expected.numel(); i < n; ++i) {
    const double error = std::abs(double(a[i]) - double(b[i]));
    report.max_logit_error = std::max(report.max_logit_error, error);
    const bool equal =
        tolerance > 0 ? error <= double(tolerance) : std::memcmp(a + i, b + i, 4) == 0;
    if (equal || !report.difference.empty()) continue;
    report.layer = layer;
    report.difference = fmt::format("{}: logit {} is {}, expected {}", layer,
                                    index_text(i, expected, report.images), a[i], b[i]);
  }
  for (int64_t i = 0; i < expected.size(0); ++i) {
    const auto top = [&](const float* row) { return std::max_element(row, row + classes) - row; };
    report.equal_predictions += top(a + i * classes) == top(b + i * classes);
  }
  report.images += expected.size(0);
}

VerifyReport verify(nn::TensorModule& model, const std::string& packed_path,
                    const BatchSource& batches, const VerifyOptions& options) {
  NoGrad no_grad;
  const nn::EvalMode eval_mode(model);
  const nn::OnDevice on_host(model, Device{});
  VerifyReport report;
  if (file_kind(packed_path) == FileKind::packed_weights) {
    check<ConfigError>(
        options.device.is_cpu(),
        "{}: only the weights are packed (32-bit activations), so there is no packed "
        "network to run on {}",
        packed_path, options.device.str());
    report = verify_weights(model, packed_path, batches, options);
  } else {
    auto network = packed::PackedNetwork::load(
        packed_path,
        {.kernels = {options.kernel, options.require_kernel}, .device = options.device});
    while (const Tensor batch = batches()) {
      const int64_t slice = slice_of(batch);
      for (int64_t at = 0; at < batch.size(0); at += slice)
        verify_slice(model, network, batch.slice(at, std::min(at + slice, batch.size(0))), report);
    }
  }
  check(report.images > 0, "verify: no images");
  report.passed = report.difference.empty() && report.equal_predictions == report.images;
  return report;
}

}  // namespace apprentice::quant
