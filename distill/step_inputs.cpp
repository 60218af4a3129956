#include <apprentice/distill/step_inputs_internal.h>

#include <apprentice/base/error.h>

namespace apprentice::distill {

StepInputs StepInputs::new_empty() const {
  StepInputs other = *this;
  other.batch.x = batch.x.new_empty(batch.x.shape());
  other.batch.labels = batch.labels.new_empty(batch.labels.shape());
  for (Tensor& tensor : other.ahead) tensor = tensor.new_empty(tensor.shape());
  return other;
}

void StepInputs::copy_from(const StepInputs& other) {
  check(ahead.size() == other.ahead.size(),
        "train: the method made {} tensors ahead of a step, and {} ahead of another", ahead.size(),
        other.ahead.size());
  batch.x.copy_from(other.batch.x);
  batch.labels.copy_from(other.batch.labels);
  batch.ids = other.batch.ids;
  batch.epoch = other.batch.epoch;
  batch.index = other.batch.index;
  for (size_t i = 0; i < ahead.size(); ++i) ahead[i].copy_from(other.ahead[i]);
}

void StepInputs::name_after(const data::Draft& draft) {
  batch.ids = draft.ids;
  batch.epoch = draft.epoch;
  batch.index = draft.index;
}

bool StepInputs::are_of(const data::Draft& draft) const {
  return batch.epoch == draft.epoch && batch.index == draft.index && batch.ids == draft.ids;
}

}  // namespace apprentice::distill
