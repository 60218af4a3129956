#include <catch2/catch.hpp>

#include <support/throws.h>

#include <apprentice/core/ops/linear.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/ops/pool.h>
#include <apprentice/core/ops/softmax.h>

using namespace apprentice;
using test::throws;

TEST_CASE("matmul and linear say which sizes do not fit") {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({2, 4}), w = Tensor::zeros({5, 3});
  CHECK(throws<ShapeError>([&] { matmul(a, b); }, "[2, 3]", "[2, 4]") == "");
  CHECK(matmul(a, b, true).shape() == Shape{3, 4});
  CHECK(throws<ShapeError>([&] { matmul(a, Tensor::zeros({3})); }, "two axes") == "");
  CHECK(throws<ShapeError>([&] { linear(b, w); }, "[2, 4]", "3") == "");
  CHECK(throws<ShapeError>([&] { linear(a, w, Tensor::zeros({4})); }, "bias", "[5]") == "");
  CHECK(throws<DtypeError>([&] { linear(a, w.to(Dtype::f64)); }, "f32", "f64") == "");
  CHECK(throws<DtypeError>([&] { matmul(a.to(Dtype::i64), w.to(Dtype::i64), false, true); },
                           "i64") == "");
}

TEST_CASE("losses say which label, row or temperature is wrong") {
  const Tensor logits = Tensor::zeros({2, 3});
  const auto labels = [](std::vector<int64_t> v) { return Tensor::from(v, {int64_t(v.size())}); };
  CHECK(throws<ShapeError>(
            [&] {
              cross_entropy(logits, labels({0, 3}));
            },
            "label 3", "row 1", "[0, 3)") == "");
  CHECK(throws<ShapeError>([&] { cross_entropy(logits, labels({-1, 0})); }, "label -1") == "");
  CHECK(throws<ShapeError>([&] { cross_entropy(logits, labels({0})); }, "[1]", "[2]") == "");
  CHECK(throws<DtypeError>([&] { cross_entropy(logits, Tensor::zeros({2})); }, "i64") == "");
  CHECK(throws<ShapeError>(
            [&] {
              cross_entropy(Tensor::zeros({0, 3}), labels({}));
            },
            "no rows") == "");
  CHECK(throws<Error>(
            [&] {
              cross_entropy(logits, labels({0, 1}), 1.5f);
            },
            "smoothing", "1.5") == "");
  CHECK(throws<Error>([&] { kl_divergence(logits, logits, 0); }, "temperature is 0") == "");
  CHECK(throws<Error>([&] { softmax(logits, -1); }, "temperature is -1") == "");
  CHECK(throws<ShapeError>(
            [&] {
              kl_divergence(logits, Tensor::zeros({2, 4}));
            },
            "[2, 3]", "[2, 4]") == "");
  CHECK(throws<ShapeError>([&] { mse_loss(logits, Tensor::zeros({3, 2})); }, "[3, 2]") == "");
}

TEST_CASE("pooling says which window or image is wrong") {
  const Tensor x = Tensor::zeros({1, 3, 3, 4});
  CHECK(throws<ShapeError>(
            [&] {
              max_pool2d(x, {{4, 4}, {1, 1}});
            },
            "max_pool2d", "[1, 3, 3, 4]") == "");
  CHECK(throws<ShapeError>([&] { avg_pool2d(x, {{2, 2}, {1, 1}, {2, 2}}); }, "padding 2") == "");
  CHECK(throws<ShapeError>([&] { max_pool2d(x, {{2, 2}, {0, 1}}); }, "stride 0") == "");
  CHECK(throws<ShapeError>([&] { global_avg_pool2d(x.reshape({9, 4})); }, "[9, 4]") == "");
  CHECK(throws<ShapeError>(
            [&] {
              global_avg_pool2d(Tensor::zeros({1, 0, 3, 4}));
            },
            "no pixels") == "");
  CHECK(throws<ShapeError>([&] { adaptive_avg_pool2d(x, 0, 1); }, "0 by 1") == "");
  CHECK(throws<ShapeError>([&] { shortcut_a(x, 3, 2); }, "3 channels") == "");
}
