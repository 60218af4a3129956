#pragma once

#include <string>

#include <apprentice/quant/verify.h>

namespace apprentice::quant {

/// Adds a batch of logits [n, classes] to the report: images, equal predictions, largest error, and
/// the first difference if there is none yet: more than `tolerance`, or any bit if that is 0.
void compare_logits(const Tensor& got, const Tensor& expected, float tolerance,
                    const std::string& layer, VerifyReport& report);

/// verify() for a file of packed weights alone: every tensor of it against the model's, exactly,
/// then logits of the decoded weights.
VerifyReport verify_weights(nn::TensorModule& model, const std::string& path,
                            const BatchSource& batches, const VerifyOptions& options);

}  // namespace apprentice::quant
