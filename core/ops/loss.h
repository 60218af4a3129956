#pragma once

#include <apprentice/core/tensor.h>

namespace apprentice {

// Losses of f32 or f64; bf16 is taken as f32.

enum class Reduction { mean, sum };  ///< over the rows (the batch)

/// -sum_c t_c log softmax(logits)_c with t = (1 - smoothing) onehot(label) + smoothing / classes.
/// logits [n, classes], labels [n] i64 -> scalar. ShapeError if a label is outside [0, classes).
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, float smoothing = 0,
                     Reduction reduction = Reduction::mean);
/// The same against rows of probabilities, at a temperature: mean over rows of
/// -sum_c p_c log softmax(logits / temperature)_c. No gradient into `probabilities`.
Tensor soft_cross_entropy(const Tensor& logits, const Tensor& probabilities, float temperature = 1);
/// The same with the probabilities softmax(teacher / temperature), in one pass over both rows of
/// logits: the bits of soft_cross_entropy(student, softmax(teacher, temperature), temperature).
/// No gradient into `teacher`.
Tensor soft_cross_entropy_with_logits(const Tensor& student, const Tensor& teacher,
                                      float temperature = 1);
/// Mean over rows of KL(softmax(teacher/T) || softmax(student/T)), without the factor T^2 (Hinton
/// et al. 2015). d/d student = (1/T)(p_S - p_T)/n. No gradient into `teacher`.
Tensor kl_divergence(const Tensor& student, const Tensor& teacher, float temperature = 1);
/// Mean over rows of 1 - cos(x, target), norms at least 1e-8; axes after the first are flattened.
Tensor cosine_loss(const Tensor& x, const Tensor& target);
/// Mean over elements of (x - target)^2.
Tensor mse_loss(const Tensor& x, const Tensor& target);

}  // namespace apprentice
