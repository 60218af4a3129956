#include <catch2/catch.hpp>

#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/kernels/codes.h>
#include <quant/quant_problems.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::test;
using quant::QuantizedWeight;

namespace {

const std::vector<Shape> kShapes{{1, 1, 1, 1}, {3, 3, 3, 5}, {16, 3, 3, 16}, {7, 33}};

/// Calls fn with every quantizer and random weight; what a failure shows is captured.
template <class Fn>
void for_all_problems(Fn&& fn) {
  for (const QuantizerCase& each : all_weight_quantizers())
    for (size_t i = 0; i < kShapes.size(); ++i) {
      CAPTURE(each.name, each.options.bits, each.options.per_channel, i);
      fn(each, random_weight(kShapes[i], i + 1));
    }
}

float step_of(const QuantizedWeight& q, int64_t element, float code) {
  const Tensor& scale = code < 0 && q.scale_negative ? q.scale_negative : q.scale;
  const auto values = scale.to_vector<float>();
  const int64_t row = q.codes.numel() / q.codes.size(0);
  return values[values.size() == 1 ? 0 : size_t(element / row)];
}

template <int Bits>
std::vector<float> through_bytes(const std::vector<int8_t>& codes, int64_t rows) {
  const int64_t cols = int64_t(codes.size()) / rows;
  std::vector<uint8_t> bytes(size_t(rows * kernels::packed_row_bytes(Bits, cols)));
  kernels::pack_codes<Bits>({codes.data(), {rows, cols}}, bytes.data());
  std::vector<int8_t> back(codes.size());
  kernels::unpack_codes<Bits>({bytes.data(), rows, cols}, {back.data(), {rows, cols}});
  return {back.begin(), back.end()};
}

}  // namespace

TEST_CASE("weight quantizers: codes are integers on the grid, and weights are scale times code") {
  for_all_problems([](const QuantizerCase& each, const Tensor& w) {
    const QuantizedWeight q = each.quantizer->quantize(w);
    REQUIRE(q.codes.shape() == w.shape());
    const auto codes = q.codes.to_vector<float>();
    const auto values = quant::dequantize(q).to_vector<float>();
    int64_t off_grid = 0, off_product = 0;
    for (size_t i = 0; i < codes.size(); ++i) {
      off_grid += codes[i] != std::rint(codes[i]) || std::abs(codes[i]) > float(q.max_code);
      off_product += values[i] != codes[i] * step_of(q, int64_t(i), codes[i]);
    }
    CHECK(off_grid == 0);
    CHECK(off_product == 0);
    CHECK(q.max_code <= (each.quantizer->bits() == 2 ? 1 : 7));
    CHECK(each.quantizer->name() == each.name);
    CHECK_FALSE(each.quantizer->grid().empty());
  });
}

TEST_CASE("weight quantizers: the error stays within the stated bound") {
  for_all_problems([](const QuantizerCase& each, const Tensor& w) {
    const auto quantized = quant::dequantize(each.quantizer->quantize(w)).to_vector<double>();
    const auto bound = each.quantizer->error_bound(w).to_vector<double>();
    const auto exact = w.to_vector<double>();
    for (size_t i = 0; i < exact.size(); ++i) {
      const double size = std::max(std::abs(exact[i]), std::abs(quantized[i]));
      if (std::abs(exact[i] - quantized[i]) <= bound[i] + 4 * 0x1p-23 * size) continue;
      CAPTURE(i, exact[i], quantized[i], bound[i]);
      FAIL("outside the bound");
    }
  });
}

TEST_CASE("weight quantizers that claim it: doubled weights have the same codes, doubled scales") {
  int claimed = 0;
  for_all_problems([&](const QuantizerCase& each, const Tensor& w) {
    if (!each.method.scale_free) return;
    ++claimed;
    const QuantizedWeight once = each.quantizer->quantize(w);
    const QuantizedWeight twice = each.quantizer->quantize(w * 2);
    CHECK(same_bits(once.codes, twice.codes));
    CHECK(same_bits(once.scale * 2, twice.scale));
  });
  CHECK(claimed > 0);
}

TEST_CASE("weight quantizers that claim it: quantizing twice gives the codes of once") {
  int claimed = 0;
  for_all_problems([&](const QuantizerCase& each, const Tensor& w) {
    if (!each.method.idempotent) return;
    ++claimed;
    const QuantizedWeight once = each.quantizer->quantize(w);
    CHECK(same_bits(once.codes, each.quantizer->quantize(quant::dequantize(once)).codes));
  });
  CHECK(claimed > 0);
}

TEST_CASE("weight quantizers: packed codes decode to what the layer computes with") {
  for_all_problems([](const QuantizerCase& each, const Tensor& w) {
    const nn::EffectiveWeight effective = each.quantizer->apply(w, false);
    QuantizedWeight q = each.quantizer->quantize(w);
    const auto codes = q.codes.to_vector<int8_t>();
    const auto back = each.quantizer->bits() == 2 ? through_bytes<2>(codes, w.size(0))
                                                  : through_bytes<4>(codes, w.size(0));
    q.codes = Tensor::from(back, w.shape());
    CHECK(same_bits(quant::dequantize(q), nn::real(effective)));
    CHECK(effective.max_code == q.max_code);
  });
}

TEST_CASE("weight quantizers: a weight of zeros gives code 0 and a scale above 0") {
  for (const QuantizerCase& each : all_weight_quantizers()) {
    CAPTURE(each.name);
    const QuantizedWeight q = each.quantizer->quantize(Tensor::zeros({4, 3, 3, 2}));
    for (float code : q.codes.to_vector<float>()) REQUIRE(code == 0);
    for (float scale : q.scale.to_vector<float>()) REQUIRE(scale > 0);
  }
}

TEST_CASE("weight quantizers: masters of another type than f32 are an error") {
  for (const QuantizerCase& each : all_weight_quantizers()) {
    CAPTURE(each.name);
    const Tensor w = Tensor::zeros({4, 9}, Dtype::f64);
    CHECK(throws<DtypeError>([&] { each.quantizer->quantize(w); }, "f64", "expected f32") == "");
  }
}
