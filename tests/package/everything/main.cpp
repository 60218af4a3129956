// Uses a piece of every room, and checks that nothing that registers itself was dropped.
#include <cstdio>

#include <apprentice/apprentice.h>

using namespace apprentice;

namespace {

bool all_registered() {
  const auto kernels = kernels::kernel_names();
  std::printf("%zu kernels, %zu models, %zu quantizers, %zu methods, %zu data sets\n",
              kernels.size(), models().names().size(), quant::quantizers().names().size(),
              distill::methods().names().size(), data::datasets().names().size());
  const auto has = [&](const char* family) {
    for (const auto& name : kernels)
      if (name.find(family) != std::string::npos) return true;
    return false;
  };
  return has("reference") && has("onednn") && models().has("resnet20") &&
         quant::quantizers().has("twn") && distill::methods().has("apprentice") &&
         data::datasets().has("shapes10");
}

bool backward_reaches_the_stem() {
  const auto network = make_model("resnet8");
  Rng rng(1, RngPurpose::test);
  const Tensor logits = network->forward(Tensor::uniform({2, 32, 32, 3}, -1, 1, rng));
  sum(logits).backward();
  return logits.shape() == Shape{2, 10} && network->parameters().front().grad().defined();
}

}  // namespace

// The network first: the dense kernels come with the first tensor.
int main() { return backward_reaches_the_stem() && all_registered() ? 0 : 1; }
