#include <apprentice/base/unit.h>
#include <apprentice/tools/bench/lowbit_gemm_problem.h>

namespace apprentice::tools {
namespace {

template <class X, int Bits>
std::vector<BenchCase> cases(const BenchShape& shape, Device device) {
  return lowbit_cases(std::make_shared<LowbitGemmProblem<X, Bits>>(shape), device);
}

/// The same from f32 activations.
template <class X, int Bits>
std::vector<BenchCase> quantizing_cases(const BenchShape& shape, Device device) {
  auto all = lowbit_cases(std::make_shared<LowbitGemmProblem<X, Bits>>(shape, true), device);
  for (BenchCase& c : all) c.kernel = "quantizing_" + c.kernel;
  return all;
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(lowbit_gemm) {
  using namespace apprentice::tools;
  benchmarks().add("ternary_gemm_u8", {"gemm", cases<uint8_t, 2>});
  benchmarks().add("ternary_gemm_u8_quantizing", {"gemm", quantizing_cases<uint8_t, 2>});
  benchmarks().add("ternary_gemm_s8", {"gemm", cases<int8_t, 2>});
  benchmarks().add("ternary_gemm_s8_quantizing", {"gemm", quantizing_cases<int8_t, 2>});
  benchmarks().add("int4_gemm_u8", {"gemm", cases<uint8_t, 4>});
  benchmarks().add("int4_gemm_u8_quantizing", {"gemm", quantizing_cases<uint8_t, 4>});
  benchmarks().add("int4_gemm_s8", {"gemm", cases<int8_t, 4>});
  benchmarks().add("int4_gemm_s8_quantizing", {"gemm", quantizing_cases<int8_t, 4>});
}
