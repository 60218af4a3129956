#pragma once

#include <vector>

#include <apprentice/data/batch.h>

namespace apprentice::distill {

/// What a step takes: a batch on its device, and what the method made of it ahead.
struct StepInputs {
  data::Batch batch;
  std::vector<Tensor> ahead;

  /// Memory for another batch of this size.
  StepInputs new_empty() const;
  /// Becomes `other`, of the same shapes, in its own memory.
  void copy_from(const StepInputs& other);
  /// Are they of this draft?
  bool are_of(const data::Draft& draft) const;
  /// From now on they are, as far as the host knows.
  void name_after(const data::Draft& draft);
};

}  // namespace apprentice::distill
