#include <apprentice/distill/metrics.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/count.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/nn/eval_mode.h>

namespace apprentice::distill {

Tensor correct_count(const Tensor& given, const Tensor& labels) {
  const Tensor logits = widened(given);
  check<ShapeError>(logits.rank() == 2 && labels.numel() == logits.size(0),
                    "correct_count: logits are {}, labels are {}", logits.shape().str(),
                    labels.shape().str());
  Tensor count = logits.new_empty({1});
  kernels::launch<kernels::CountCorrect<float>>(
      {logits.view<float, 2>(), labels.flat<int64_t>(), count.view<float, 1>()},
      current_stream(logits.device()));
  return count;
}

Metrics evaluate(const std::function<Tensor(const Tensor&)>& forward, const data::ImageSet& set,
                 const EvaluateOptions& options) {
  check(options.batch > 0, "evaluate: batch is {}, expected at least 1", options.batch);
  const data::ResidentSet* resident = options.resident;
  check(!resident || (&resident->set() == &set && resident->device() == options.device),
        "evaluate: the resident set is '{}' on {}, expected '{}' on {}",
        resident ? resident->set().name : "", resident ? resident->device().str() : "", set.name,
        options.device.str());
  const NoGrad no_grad;
  const MemoryLabel label("evaluation");
  const int64_t images = options.images > 0 ? std::min(options.images, set.count) : set.count;
  const auto start = std::chrono::steady_clock::now();
  Metrics metrics;
  double loss = 0;
  while (metrics.images < images) {
    std::vector<int64_t> ids(size_t(std::min(options.batch, images - metrics.images)));
    std::iota(ids.begin(), ids.end(), metrics.images);
    const data::Batch batch =
        resident ? resident->make_batch(ids) : data::make_batch(set, ids).to(options.device);
    const Tensor logits = forward(batch.x);
    loss += cross_entropy(logits, batch.labels, 0, Reduction::sum).item();
    metrics.correct += int64_t(correct_count(logits, batch.labels).item());
    metrics.images += batch.size();
    if (options.on_batch && !options.on_batch(batch, logits, metrics.images)) break;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (metrics.images == 0) return metrics;
  metrics.loss = loss / double(metrics.images);
  metrics.top1 = 100.0 * double(metrics.correct) / double(metrics.images);
  metrics.images_per_s = double(metrics.images) / std::max(seconds.count(), 1e-9);
  return metrics;
}

Metrics evaluate(nn::TensorModule& model, const data::ImageSet& set,
                 const EvaluateOptions& options) {
  const nn::EvalMode eval(model);
  EvaluateOptions there = options;
  there.device = model.device();
  return evaluate([&](const Tensor& x) { return model.forward(x); }, set, there);
}

}  // namespace apprentice::distill
