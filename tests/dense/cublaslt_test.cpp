// cuBLASLt's descriptors, which need no GPU; its heuristics do.
#include <algorithm>
#include <catch2/catch.hpp>
#include <iterator>
#include <string>

#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/cublaslt/product_internal.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::kernels;
using namespace apprentice::kernels::dense;
using test::throws;

namespace {

GemmProblem problem(bool transpose_a, bool transpose_b, bool bias, Precision precision) {
  GemmProblem p;
  p.m = 5, p.n = 10, p.k = 64;
  p.transpose_a = transpose_a, p.transpose_b = transpose_b;
  p.bias = bias, p.precision = precision;
  p.alignment = {4, 16, 16, 16};
  return p;
}

/// False, with a warning, where cuBLASLt cannot be loaded: then there is nothing to test.
bool is_there() {
  if (!cublaslt().problem.empty()) WARN("skipped: " << cublaslt().problem);
  return cublaslt().problem.empty();
}

}  // namespace

TEST_CASE("cuBLASLt takes the description of every kind of product") {
  if (!is_there()) return;
  const bool ta = GENERATE(false, true), tb = GENERATE(false, true), bias = GENERATE(false, true);
  const auto precision = GENERATE(Precision::f32, Precision::tf32, Precision::bf16);
  CHECK_NOTHROW(Product(problem(ta, tb, bias, precision)));
}

TEST_CASE("a cuBLASLt call that fails is told by name, with the library's word for it") {
  if (!is_there()) return;
  const Product product(problem(false, true, true, Precision::f32));
  CHECK(throws<DeviceError>([&] { product.propose(nullptr, 8); },
                            "cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_") == "");
  CHECK(throws<DeviceError>([&] { product.restore(nullptr, std::string(128, '0')); },
                            "cublasLtMatmulAlgoCheck: CUBLAS_STATUS_") == "");
}

TEST_CASE("an algorithm of cuBLASLt is read as it was written, and other texts are errors") {
  cublasLtMatmulAlgo_t algorithm{};
  for (size_t i = 0; i < std::size(algorithm.data); ++i)
    algorithm.data[i] = 0x0123456789abcdefu * (i + 1) + i;
  const std::string text = text_of(algorithm);
  const cublasLtMatmulAlgo_t read = algorithm_of(text);
  CHECK(std::equal(std::begin(read.data), std::end(read.data), std::begin(algorithm.data)));
  for (const std::string& other : {std::string(), text + "0", text.substr(1), "g" + text.substr(1),
                                   " " + text.substr(1), "-" + text.substr(1)})
    CHECK(throws<DeviceError>([&] { algorithm_of(other); }, "is no algorithm") == "");
}
