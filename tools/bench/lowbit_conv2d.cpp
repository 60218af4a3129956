#include <apprentice/base/unit.h>
#include <apprentice/kernels/lowbit_conv2d.h>
#include <apprentice/tools/bench/lowbit.h>

namespace apprentice::tools {
namespace {

template <int Bits>
struct ConvProblem {
  std::vector<uint8_t> x, weight;
  std::vector<int32_t> acc;
  typename kernels::LowbitConv2d<Bits>::Args args;

  ConvProblem(const BenchShape& s, std::mt19937& random) {
    const int64_t n = s.at("n"), h = s.at("h"), w = s.at("w"), in = s.at("in"), out = s.at("out");
    const int64_t k = s.at("kernel"), stride = s.at("stride"), padding = s.at("padding");
    args.geometry.stride = {stride, stride};
    args.geometry.padding = {padding, padding};
    args.kernel_size = {k, k};
    const int64_t p = args.geometry.out_size(0, h, k), q = args.geometry.out_size(1, w, k);
    x.resize(size_t(n * h * w * in));
    const auto limit = s.sizes.find("max_x");
    if (limit != s.sizes.end()) args.max_x = int32_t(limit->second);
    check<ConfigError>(args.max_x <= 255, "shape '{} {}': max_x is {}, expected at most 255", s.op,
                       s.text, args.max_x);
    std::uniform_int_distribution<int> x_code(0, args.max_x);
    for (uint8_t& code : x) code = uint8_t(x_code(random));
    weight = random_codes<Bits>(out, k * k * in, random);
    acc.resize(size_t(n * p * q * out));
    args.x = {x.data(), {n, h, w, in}};
    args.weight = {weight.data(), out, k * k * in};
    args.acc = {acc.data(), {n, p, q, out}};
  }
};

template <int Bits>
std::vector<BenchCase> cases(const BenchShape& shape) {
  std::mt19937 random(1);
  auto problem = std::make_shared<ConvProblem<Bits>>(shape, random);
  const auto& a = problem->args;
  const double operations = 2.0 * double(a.acc.numel()) * double(a.weight.cols);
  const double bytes = double(problem->x.size() + problem->weight.size() + 4 * problem->acc.size());
  return lowbit_cases<kernels::LowbitConv2d<Bits>>(problem, operations, bytes);
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(lowbit_conv2d) {
  using namespace apprentice::tools;
  benchmarks().add("ternary_conv2d", {"conv2d", cases<2>});
  benchmarks().add("int4_conv2d", {"conv2d", cases<4>});
}
