#include <cmath>
#include <memory>
#include <random>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/tools/bench/device_copies.h>
#include <apprentice/tools/benchmark.h>

namespace apprentice::tools {
namespace {

using Op = kernels::Conv2d<float>;

struct Problem {
  std::vector<float> x, w, y;
  Op::Args args;
  double bound = 0;  ///< of |y - y_reference|: both may be off by the op's error bound

  explicit Problem(const BenchShape& s) {
    const int64_t n = s.at("n"), h = s.at("h"), width = s.at("w"), in = s.at("in"),
                  out = s.at("out"), k = s.at("kernel");
    args.geometry.stride = {s.at("stride"), s.at("stride")};
    args.geometry.padding = {s.at("padding"), s.at("padding")};
    const int64_t p = args.geometry.out_size(0, h, k), q = args.geometry.out_size(1, width, k);
    std::mt19937 random(1);
    std::uniform_real_distribution<float> value(-1, 1);
    x.resize(size_t(n * h * width * in));
    w.resize(size_t(out * k * k * in));
    y.resize(size_t(n * p * q * out));
    for (float& v : x) v = value(random);
    for (float& v : w) v = value(random);
    args.x = {x.data(), {n, h, width, in}};
    args.w = {w.data(), {out, k, k, in}};
    args.y = {y.data(), {n, p, q, out}};
    bound = 2 * Op::error_bound(k * k * in, double(k * k * in));  // |x|, |w| <= 1
  }

  Op::Args args_in(DeviceCopies& copies) const {
    Op::Args there = args;
    there.x = copies(args.x), there.w = copies(args.w), there.y = copies(args.y);
    return there;
  }
  std::string compare() {
    const std::vector<float> got = y;
    kernels::kernel_table<Op>().kernels().back().run(args, {});
    for (size_t i = 0; i < y.size(); ++i)
      if (!(std::abs(got[i] - y[i]) <= bound))
        return fmt::format("y[{}] is {}, the reference has {}", i, got[i], y[i]);
    return "";
  }
};

std::vector<BenchCase> cases(const BenchShape& shape, Device device) {
  auto problem = std::make_shared<Problem>(shape);
  const auto copies = std::make_shared<DeviceCopies>(device);
  const Op::Args args = problem->args_in(*copies);
  const double operations =
      2.0 * double(problem->y.size()) * double(problem->w.size()) / double(problem->args.w.size(0));
  const double bytes = 4.0 * double(problem->x.size() + problem->w.size() + problem->y.size());
  std::vector<BenchCase> all;
  for (const auto& kernel : kernels::kernel_table<Op>().kernels(device.kind)) {
    BenchCase c;
    c.kernel = kernel.name;
    c.operations = operations;
    c.bytes = bytes;
    if (kernel.refuse) c.refusal = kernel.refuse(args);
    if (c.refusal.empty()) {
      c.run = [args, run = kernel.run, device] { run(args, current_stream(device)); };
      c.verify = [problem, copies] {
        copies->fetch();
        return problem->compare();
      };
    }
    all.push_back(std::move(c));
  }
  return all;
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(dense_conv2d) {
  using namespace apprentice::tools;
  benchmarks().add("conv2d_f32", {"conv2d", cases});
}
