#pragma once

#include <apprentice/distill/trainer.h>
#include <apprentice/quant/prepare.h>

#include <distill/tiny.h>

namespace apprentice::test {

/// What a trainer works on: the recipe's student of a quarter of the width, quantized as it says, a
/// ResNet-8 as its teacher, and pictures in colours.
inline distill::TrainerParts parts_of(const distill::Recipe& recipe, int64_t train, int64_t test) {
  distill::TrainerParts parts;
  parts.recipe = recipe;
  parts.train = colours("train", train);
  parts.test = colours("test", test);
  parts.student = narrow()(recipe.model.arch, 10, 1);
  parts.teacher = narrow()("resnet8", 10, 2);
  parts.student_info.arch = recipe.model.arch;
  parts.teacher_info.arch = "resnet8";
  parts.student_info.policy = policy_of(recipe);
  if (parts.student_info.policy.quantizes())
    quant::prepare(*parts.student, parts.student_info.policy);
  return parts;
}

}  // namespace apprentice::test
