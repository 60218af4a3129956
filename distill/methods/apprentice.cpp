#include <optional>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <apprentice/base/unit.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/ops/softmax.h>
#include <apprentice/distill/method.h>
#include <apprentice/distill/metrics.h>

namespace apprentice::distill {

namespace {

/// A loss that grows term by term; a term of weight 0 is not computed.
struct WeightedLoss {
  StepResult result;

  template <class Value>
  void add(const char* name, double weight, Value&& value) {
    if (weight == 0) return;
    const Tensor term = value();
    const Tensor weighted = weight == 1 ? term : term * weight;
    result.loss = result.loss.defined() ? result.loss + weighted : weighted;
    result.terms.push_back({name, term.detach(), weight});
  }
};

/// T^2 CE(softmax(teacher / T), softmax(student / T)), the factor being 1 at T = 1; with a gradient
/// into the teacher if it stands in the graph.
Tensor distillation_loss(const Tensor& teacher, const Tensor& student, float temperature,
                         bool into_teacher) {
  const Tensor loss =
      into_teacher
          ? -mean(sum(softmax(teacher, temperature) * log_softmax(student, temperature), 1))
          : soft_cross_entropy_with_logits(student, teacher, temperature);
  return temperature == 1 ? loss : loss * double(temperature * temperature);
}

/// Logits of a network, and a leaf of their values: what comes to the leaf's gradient is brought to
/// the network by backward().
struct CutLogits {
  Tensor logits, leaf;

  explicit CutLogits(const Tensor& of) : logits(of), leaf(of.detach()) { leaf.set_requires_grad(); }
  void backward() const {
    if (leaf.grad()) logits.backward(leaf.grad());
  }
};

/// Apprentice (Mishra and Marr 2018, arXiv:1711.05852, section 4):
///   loss = alpha CE(y, p_T) + beta CE(y, p_A) + gamma CE(p_T, p_A),  p = softmax(z)
/// Scheme A trains teacher and apprentice side by side from random weights; z_T is detached in the
/// third term unless distill.teacher_receives_distill_grad. B and C have no first term and a frozen
/// teacher; they differ in where the apprentice starts, which the run takes care of. A control run
/// keeps beta CE(y, p_A) alone.
class Apprentice final : public Method {
 public:
  explicit Apprentice(const MethodSetup& setup)
      : options_(setup.recipe.distill),
        smoothing_(float(setup.recipe.train.label_smoothing)),
        student_(setup.student) {
    if (options_.control) {
      options_.alpha = options_.gamma = 0;
    } else if (options_.scheme == "A") {
      trained_teacher_ = setup.teacher;
      check<ConfigError>(trained_teacher_ != nullptr,
                         "apprentice: scheme A needs a teacher to train");
    } else {
      options_.alpha = 0;
      frozen_teacher_ = setup.teacher_logits;
      if (!frozen_teacher_ && setup.teacher)
        frozen_teacher_ = std::make_shared<OnlineTeacher>(setup.teacher);
      check<ConfigError>(frozen_teacher_ != nullptr || options_.gamma == 0,
                         "apprentice: scheme {} needs a trained teacher", options_.scheme);
    }
  }

  std::vector<Trained> trained() const override {
    std::vector<Trained> all{{"student", student_}};
    if (trained_teacher_) all.push_back({"teacher", trained_teacher_});
    return all;
  }

  /// A frozen teacher's logits.
  std::vector<Tensor> ahead(const data::Batch& batch) override {
    if (!frozen_teacher_ || options_.gamma == 0) return {};
    const MemoryLabel label("teacher");
    return {frozen_teacher_->logits(batch, batch.epoch)};
  }

  StepResult step(const data::Batch& batch, const std::vector<Tensor>& ahead,
                  const StepInfo& /*info*/) override {
    if (trained_teacher_) return step_of_two(batch);
    return losses(ahead.empty() ? Tensor() : ahead[0], student_->forward(batch.x), batch.labels);
  }

  bool recordable() const override { return true; }
  bool ahead_recordable() const override {
    return !frozen_teacher_ || frozen_teacher_->recordable();
  }

 private:
  template <class Work>
  auto beside(Work&& work) {
    const StreamGuard there(beside_->get());
    const MemoryLabel label("teacher");
    return work();
  }

  /// Teacher and apprentice go forward, and later backward, in two streams: the losses are those of
  /// logits that are cut off from their networks.
  StepResult step_of_two(const data::Batch& batch) {
    if (!beside_) beside_.emplace(batch.x.device());
    beside_->fork();
    const CutLogits teacher(beside([&] { return trained_teacher_->forward(batch.x); }));
    const CutLogits student(student_->forward(batch.x));
    beside_->join();
    StepResult result = losses(teacher.leaf, student.leaf, batch.labels);
    result.backward = [this, teacher, student, loss = result.loss] {
      loss.backward();
      beside_->fork();
      beside([&] { return teacher.backward(); });
      student.backward();
      beside_->join();
    };
    result.loss = result.loss.detach();
    return result;
  }

  /// The teacher's logits may be undefined where no term takes them.
  StepResult losses(const Tensor& teacher, const Tensor& student, const Tensor& labels) const {
    WeightedLoss loss;
    loss.add("teacher", options_.alpha, [&] { return cross_entropy(teacher, labels, smoothing_); });
    loss.add("label", options_.beta, [&] { return cross_entropy(student, labels, smoothing_); });
    loss.add("distill", options_.gamma, [&] {
      return distillation_loss(teacher, student, float(options_.temperature),
                               trained_teacher_ && options_.teacher_receives_distill_grad);
    });
    loss.result.correct = correct_count(student.detach(), labels);
    return std::move(loss.result);
  }

  Recipe::Distill options_;
  float smoothing_;
  std::shared_ptr<nn::TensorModule> student_, trained_teacher_;
  std::shared_ptr<Teacher> frozen_teacher_;
  std::optional<SideStream> beside_;  ///< where a trained teacher runs, on the batches' device
};

TeacherNeed teacher_need(const Recipe& recipe) {
  const Recipe::Distill& d = recipe.distill;
  const Recipe::Teacher& teacher = recipe.teacher;
  const bool pretrained = !teacher.weights.empty() || !teacher.logits.empty();
  check<ConfigError>(d.beta > 0 || (d.gamma > 0 && !d.control),
                     "distill.beta is 0{}: nothing would train the apprentice",
                     d.control ? " in a control run" : " and distill.gamma too");
  if (d.scheme == "C")
    check<ConfigError>(!recipe.model.init.empty(),
                       "scheme C starts from trained weights: set model.init");
  else
    check<ConfigError>(recipe.model.init.empty(),
                       "scheme {} starts from random weights, but model.init is \"{}\"", d.scheme,
                       recipe.model.init);
  if (d.scheme == "A") {
    check<ConfigError>(!teacher.arch.empty() && !pretrained,
                       "scheme A trains its teacher from random weights: set teacher.arch, and "
                       "neither teacher.weights nor teacher.logits");
    return d.control ? TeacherNeed::none : TeacherNeed::trained;
  }
  check<ConfigError>(pretrained,
                     "scheme {} needs a trained teacher: set teacher.weights or teacher.logits",
                     d.scheme);
  return d.control || d.gamma == 0 ? TeacherNeed::none : TeacherNeed::frozen;
}

}  // namespace

}  // namespace apprentice::distill

APPRENTICE_UNIT(apprentice) {
  using namespace apprentice::distill;
  methods().add(
      "apprentice",
      {[](const MethodSetup& setup) { return std::make_unique<Apprentice>(setup); }, teacher_need});
}
