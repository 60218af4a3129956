#include <apprentice/base/unit.h>
#include <apprentice/tools/bench/lowbit_conv2d_problem.h>

namespace apprentice::tools {
namespace {

template <int Bits>
std::vector<BenchCase> cases(const BenchShape& shape, Device device) {
  return lowbit_cases(std::make_shared<LowbitConv2dProblem<Bits>>(shape), device);
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(lowbit_conv2d) {
  using namespace apprentice::tools;
  benchmarks().add("ternary_conv2d", {"conv2d", cases<2>});
  benchmarks().add("int4_conv2d", {"conv2d", cases<4>});
}
