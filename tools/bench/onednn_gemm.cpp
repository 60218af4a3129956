// oneDNN's matrix products beside ours: f32, and u8 x s8 into s32, weights in the layout that it
// likes.
#include <apprentice/base/unit.h>
#include <apprentice/tools/bench/lowbit_gemm_problem.h>
#include <apprentice/tools/bench/onednn.h>

namespace apprentice::tools {
namespace {

using Problem = LowbitGemmProblem<uint8_t, 2>;
using onednn::Prepared, onednn::Tag, onednn::Type;

std::vector<float> weights_of(const Problem& p) {
  std::vector<float> values;
  const auto& codes = p.args.weight;
  for (int64_t n = 0; n < codes.rows; ++n)
    for (int64_t k = 0; k < codes.cols; ++k) values.push_back(float(codes.at(n, k)));
  return values;
}

std::shared_ptr<Prepared> prepare(const Problem& p, bool int8) {
  const int64_t m = p.args.x.size(0), k = p.args.x.size(1), n = p.args.weight.rows;
  const Type x = int8 ? Type::u8 : Type::f32, w = int8 ? Type::s8 : Type::f32;
  const Type y = int8 ? Type::s32 : Type::f32;
  auto prepared = std::make_shared<Prepared>();
  const dnnl::matmul::primitive_desc pd(
      dnnl::matmul::desc({{m, k}, x, Tag::ab}, {{k, n}, w, Tag::any}, {{m, n}, y, Tag::ab}),
      prepared->engine);
  prepared->primitive = dnnl::matmul(pd);
  prepared->args = {{DNNL_ARG_SRC, dnnl::memory(pd.src_desc(), prepared->engine)},
                    {DNNL_ARG_WEIGHTS, dnnl::memory(pd.weights_desc(), prepared->engine)},
                    {DNNL_ARG_DST, dnnl::memory(pd.dst_desc(), prepared->engine)}};
  prepared->write(DNNL_ARG_SRC, {{m, k}, Type::u8, Tag::ab}, p.x.data());
  prepared->write(DNNL_ARG_WEIGHTS, {{k, n}, Type::f32, Tag::ba}, weights_of(p).data());
  return prepared;
}

BenchCase case_of(std::shared_ptr<Problem> problem, bool int8) {
  BenchCase c;
  c.kernel = int8 ? "onednn_gemm_u8s8" : "onednn_gemm_f32";
  c.arithmetic = int8 ? Arithmetic::int8 : Arithmetic::f32;
  c.operations = problem->operations();
  const double weights = double(problem->args.weight.rows) * double(problem->args.weight.cols);
  const double codes = double(problem->x.size()) + weights;
  c.bytes = (int8 ? codes : 4 * codes) + 4 * double(problem->acc.size());
  c.peer = true;
  auto prepared = prepare(*problem, int8);
  c.run = [prepared] { prepared->run(); };
  if (int8) {
    c.verify = [problem, prepared] {
      prepared->read(DNNL_ARG_DST,
                     {{problem->args.acc.size(0), problem->args.acc.size(1)}, Type::s32, Tag::ab},
                     problem->acc.data());
      return problem->compare();
    };
  }
  return c;
}

std::vector<BenchCase> cases(const BenchShape& shape, Device device) {
  if (!device.is_cpu()) return {};
  BenchShape ungrouped = shape;
  ungrouped.sizes.erase("group");  // it has one scale an output
  auto problem = std::make_shared<Problem>(ungrouped);
  return {case_of(problem, false), case_of(problem, true)};
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(onednn_gemm) {
  using namespace apprentice::tools;
  benchmarks().add("onednn_gemm", {"gemm", cases});
}
