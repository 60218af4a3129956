#include <apprentice/distill/step_record_internal.h>

namespace apprentice::distill {
namespace {

constexpr int64_t kLoss = 0, kCorrect = 1, kTerms = 2;

}  // namespace

bool StepRecord::fits(const StepResult& result) const {
  if (steps_.empty()) return true;
  const auto& terms = steps_.front().terms;
  bool same = terms.size() == result.terms.size();
  for (size_t i = 0; same && i < terms.size(); ++i) same = terms[i].first == result.terms[i].name;
  return same && int64_t(steps_.size()) < kMost;
}

void StepRecord::add(int64_t step, const StepResult& result, int64_t images) {
  const int64_t columns = kTerms + int64_t(result.terms.size());
  if (!rows_ || rows_.size(1) != columns || rows_.device() != result.loss.device())
    rows_ = result.loss.new_empty({kMost, columns});
  const auto put = [&, row = int64_t(steps_.size())](int64_t column, const Tensor& value) {
    rows_.alias(value.shape(), row * columns + column).copy_from(value);
  };
  StepValues values{.step = step, .images = images, .terms = {}};
  put(kLoss, result.loss);
  put(kCorrect, result.correct);
  for (size_t i = 0; i < result.terms.size(); ++i) {
    put(kTerms + int64_t(i), result.terms[i].value);
    values.terms.emplace_back(result.terms[i].name, 0);
  }
  steps_.push_back(std::move(values));
}

std::vector<StepValues> StepRecord::take() {
  std::vector<StepValues> steps = std::exchange(steps_, {});
  if (steps.empty()) return steps;
  const std::vector<double> all = rows_.slice(0, int64_t(steps.size())).to_vector<double>();
  const double* row = all.data();
  for (StepValues& values : steps) {
    values.loss = row[kLoss], values.correct = row[kCorrect];
    for (size_t i = 0; i < values.terms.size(); ++i)
      values.terms[i].second = row[kTerms + int64_t(i)];
    row += rows_.size(1);
  }
  return steps;
}

}  // namespace apprentice::distill
