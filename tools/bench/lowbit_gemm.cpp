#include <apprentice/base/unit.h>
#include <apprentice/kernels/lowbit_gemm.h>
#include <apprentice/tools/bench/lowbit.h>

namespace apprentice::tools {
namespace {

template <class X, int Bits>
struct GemmProblem {
  std::vector<X> x;
  std::vector<uint8_t> weight;
  std::vector<int32_t> acc;
  typename kernels::LowbitGemm<X, Bits>::Args args;

  GemmProblem(const BenchShape& s, std::mt19937& random) {
    const int64_t m = s.at("m"), n = s.at("n"), k = s.at("k");
    x.resize(size_t(m * k));
    for (X& code : x) code = X(random());
    weight = random_codes<Bits>(n, k, random);
    acc.resize(size_t(m * n));
    args.x = {x.data(), {m, k}};
    args.weight = {weight.data(), n, k};
    args.acc = {acc.data(), {m, n}};
  }
};

template <class X, int Bits>
std::vector<BenchCase> cases(const BenchShape& shape) {
  std::mt19937 random(1);
  auto problem = std::make_shared<GemmProblem<X, Bits>>(shape, random);
  const auto& a = problem->args;
  const double operations = 2.0 * double(a.acc.numel()) * double(a.weight.cols);
  const double bytes = double(problem->x.size() + problem->weight.size() + 4 * problem->acc.size());
  return lowbit_cases<kernels::LowbitGemm<X, Bits>>(problem, operations, bytes);
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
