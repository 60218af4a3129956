#include <apprentice/base/unit.h>
#include <apprentice/tools/bench/lowbit_gemm_problem.h>

namespace apprentice::tools {
namespace {

template <class X, int Bits>
std::vector<BenchCase> cases(const BenchShape& shape) {
  return lowbit_cases(std::make_shared<LowbitGemmProblem<X, Bits>>(shape));
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(lowbit_gemm) {
  using namespace apprentice::tools;
  benchmarks().add("ternary_gemm_u8", {"gemm", cases<uint8_t, 2>});
  benchmarks().add("ternary_gemm_s8", {"gemm", cases<int8_t, 2>});
  benchmarks().add("int4_gemm_u8", {"gemm", cases<uint8_t, 4>});
  benchmarks().add("int4_gemm_s8", {"gemm", cases<int8_t, 4>});
}
