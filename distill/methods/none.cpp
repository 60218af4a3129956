#include <apprentice/base/error.h>
#include <apprentice/base/unit.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/distill/method.h>
#include <apprentice/distill/metrics.h>

namespace apprentice::distill {

namespace {

/// Plain supervised training, of a quantized network too: loss = CE(y, softmax(z)).
class None final : public Method {
 public:
  explicit None(const MethodSetup& setup)
      : student_(setup.student), smoothing_(float(setup.recipe.train.label_smoothing)) {}

  std::vector<Trained> trained() const override { return {{"student", student_}}; }

  StepResult step(const data::Batch& batch, const std::vector<Tensor>& /*ahead*/,
                  const StepInfo& /*info*/) override {
    const Tensor logits = student_->forward(batch.x);
    const Tensor loss = cross_entropy(logits, batch.labels, smoothing_);
    return {loss, {{"label", loss.detach(), 1.0}}, correct_count(logits.detach(), batch.labels)};
  }

  bool recordable() const override { return true; }
  bool ahead_recordable() const override { return true; }

 private:
  std::shared_ptr<nn::TensorModule> student_;
  float smoothing_;
};

TeacherNeed teacher_need(const Recipe& recipe) {
  check<ConfigError>(!recipe.distill.control,
                     "distill.control is true, but distill.method is \"none\": there is no teacher "
                     "to leave out");
  return TeacherNeed::none;
}

}  // namespace

}  // namespace apprentice::distill

APPRENTICE_UNIT(none) {
  using namespace apprentice::distill;
  methods().add("none", {[](const MethodSetup& setup) { return std::make_unique<None>(setup); },
                         teacher_need});
}
