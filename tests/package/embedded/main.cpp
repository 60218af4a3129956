// Finds what the dropped files registered, and uses it.
#include <cmath>
#include <cstdio>

#include <apprentice/apprentice.h>

using namespace apprentice;

namespace {

bool check(const char* what, bool good) {
  std::printf("%s: %s\n", what, good ? "registered and used" : "NO");
  return good;
}

bool kernel() {
  const float x[] = {0, 0, 0};
  float y[3] = {};
  const kernels::Softmax<float>::Args args{{const_cast<float*>(x), {1, 3}}, {y, {1, 3}}};
  const auto& chosen =
      kernels::kernel_table<kernels::Softmax<float>>().select(args, {"rows", true});
  chosen.run(args, {});
  return chosen.name == "softmax_f32_cpu_rows" && std::abs(y[0] - 1.0f / 3) < 1e-6f;
}

bool op() {
  Rng rng(1);
  const auto samples = op_samples().get("cube")(rng);
  return !samples.empty() && samples[0].run(samples[0].inputs).shape() == samples[0].y;
}

bool quantizer() {
  const auto signs = quant::quantizers().get("signs").make({});
  const Tensor w = Tensor::from(std::vector<float>{1, -3}, {1, 2});
  return quant::dequantize(signs->quantize(w)).to_vector<float>() == std::vector<float>{2, -2};
}

bool method() {
  return distill::methods().get("match_logits").teacher_need({}) == distill::TeacherNeed::frozen;
}

bool model() {
  return make_model("one_layer")->forward(Tensor::zeros({2, 32, 32, 3})).shape() == Shape{2, 10};
}

bool dataset() { return data::load_dataset("stripes", "test", {}).count == 10; }

}  // namespace

int main() {
  const bool good[] = {check("kernel", kernel()),       check("operation", op()),
                       check("quantizer", quantizer()), check("method", method()),
                       check("model", model()),         check("data set", dataset())};
  for (bool one : good)
    if (!one) return 1;
  return 0;
}
