#pragma once

#include <apprentice/nn/module.h>

namespace apprentice::nn {

/// A module in eval mode while one is alive, then back in its own.
class EvalMode {
 public:
  explicit EvalMode(Module& module) : module_(module), training_(module.training()) {
    module.eval();
  }
  ~EvalMode() { module_.train(training_); }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  Module& module_;
  bool training_;
};

}  // namespace apprentice::nn
