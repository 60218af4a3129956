#include <apprentice/base/unit.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/distill/method.h>
#include <apprentice/distill/metrics.h>

namespace apprentice::distill {
namespace {

/// loss = mean (z_student - z_teacher)^2 (Ba, Caruana 2014, arXiv:1312.6184, eq. 1).
class MatchLogits final : public Method {
 public:
  explicit MatchLogits(const MethodSetup& setup)
      : student_(setup.student), teacher_(setup.teacher_logits) {}

  std::vector<Trained> trained() const override { return {{"student", student_}}; }

  std::vector<Tensor> ahead(const data::Batch& batch) override {
    return {teacher_->logits(batch, batch.epoch)};
  }

  StepResult step(const data::Batch& batch, const std::vector<Tensor>& ahead,
                  const StepInfo& /*info*/) override {
    const Tensor logits = student_->forward(batch.x);
    const Tensor loss = mse_loss(logits, ahead[0]);
    return {loss, {{"logits", loss.detach(), 1.0}}, correct_count(logits.detach(), batch.labels)};
  }

 private:
  std::shared_ptr<nn::TensorModule> student_;
  std::shared_ptr<Teacher> teacher_;
};

}  // namespace
}  // namespace apprentice::distill

APPRENTICE_UNIT(match_logits) {
  using namespace apprentice::distill;
  methods().add("match_logits",
                {[](const MethodSetup& setup) { return std::make_unique<MatchLogits>(setup); },
                 [](const Recipe&) { return TeacherNeed::frozen; }});
}
