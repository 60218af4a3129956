#include <apprentice/kernels/non_finite.h>

#include <limits>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;

TEST_CASE("every non_finite kernel counts NaNs and infinities, adding to what is there") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> many(100001, 3e38f), none(5, -0.0f);
  for (const size_t at : {0, 16, 999, 100000}) many[at] = at % 2 ? kNan : -kInf;
  const std::vector<float> denormal(7, 1e-45f), both{kInf, 1, kNan};
  const View1<const float> tensors[] = {{many.data(), {100001}},
                                        {none.data(), {5}},
                                        {nullptr, {0}},
                                        {denormal.data(), {7}},
                                        {both.data(), {3}}};
  for (const auto& kernel : kernel_table<NonFinite<float>>().kernels()) {
    CAPTURE(kernel.name);
    std::vector<int64_t> counts(5, 100);
    int64_t total = 7;
    kernel.run({tensors, {counts.data(), {5}}, {&total, {1}}}, {});
    CHECK(counts == std::vector<int64_t>{104, 100, 100, 100, 102});
    CHECK(total == 13);
    kernel.run({tensors, {}, {&total, {1}}}, {});
    CHECK(total == 19);
  }
}
