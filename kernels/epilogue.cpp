#include <apprentice/kernels/epilogue.h>

namespace apprentice::kernels {

void fold_epilogue(const FoldArgs& args, View1<float> a, View1<float> b) {
  const bool per_channel = args.weight_step.numel() > 1;
  for (int64_t c = 0; c < a.numel(); ++c) {
    const float g = args.gamma(c) / std::sqrt(args.var(c) + args.eps);
    const float step = args.weight_step(per_channel ? c : 0) * args.x_step;
    a(c) = step * g / args.y_step;
    const float own = std::fmaf(-args.mean(c), g, args.beta(c)) / args.y_step + args.y_zero;
    b(c) = std::fmaf(-args.residual_zero, args.r, own);
  }
}

}  // namespace apprentice::kernels
