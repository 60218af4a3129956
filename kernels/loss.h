#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// Cross-entropy of rows against hard labels, probabilities or a teacher, t, at a temperature T:
///   p = softmax(logits / T),  loss[i] = -sum_c t[i,c] log p[i,c]
///   grad[i,c] = (p[i,c] sum_j t[i,j] - t[i,c]) / T, that is d loss[i] / d logits[i,c]
///   labels: t = (1 - smoothing) onehot(label) + smoothing / classes
///   teacher: t = softmax(teacher / T) as the Softmax kernel gives it, in the same pass
///   logits  [n, classes]
///   labels  [n], inside [0, classes) (not checked here), or absent
///   targets [n, classes], or absent
///   teacher [n, classes], logits, or absent; exactly one of the three is there
///   loss    [n]
///   grad    [n, classes], or absent; may be logits
template <class T>
struct SoftmaxCrossEntropy {
  static constexpr std::string_view name = "softmax_cross_entropy", types = types_of<T>;
  struct Args {
    View2<const T> logits;
    View1<const int64_t> labels;
    View2<const T> targets;
    View2<const T> teacher;
    double smoothing = 0;
    double temperature = 1;
    View1<T> loss;
    View2<T> grad;
  };
};

/// Kullback-Leibler divergence of rows, pS, pT = softmax(student / T), softmax(teacher / T):
///   loss[i] = sum_c pT (log pT - log pS),  grad[i,c] = (pS - pT) / T   (no factor T^2)
///   student, teacher [n, classes], loss [n], grad [n, classes] or absent
/// Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
template <class T>
struct KlDivergence {
  static constexpr std::string_view name = "kl_divergence", types = types_of<T>;
  struct Args {
    View2<const T> student, teacher;
    double temperature = 1;
    View1<T> loss;
    View2<T> grad;
  };
};

/// loss[i] = 1 - cos, cos = <x, t> / (max(|x|, 1e-8) max(|t|, 1e-8)), of the rows i
/// grad = -(t / (|x| |t|) - cos x / |x|^2), the second term absent where |x| < 1e-8
///   x, target [n, d], loss [n], grad [n, d] or absent
template <class T>
struct CosineLoss {
  static constexpr std::string_view name = "cosine_loss", types = types_of<T>;
  static constexpr double kSmallestNorm = 1e-8;
  struct Args {
    View2<const T> x, target;
    View1<T> loss;
    View2<T> grad;
  };
};

/// loss[i] = sum_j (x - target)^2, grad = 2 (x - target), of the rows i
///   x, target [n, d], loss [n], grad [n, d] or absent
template <class T>
struct SquaredError {
  static constexpr std::string_view name = "squared_error", types = types_of<T>;
  struct Args {
    View2<const T> x, target;
    View1<T> loss;
    View2<T> grad;
  };
};

}  // namespace apprentice::kernels
