// oneDNN's convolutions beside ours: f32 and u8 x s8, direct and Winograd, each in the layouts that
// it likes best and with ReLU in its store. Its Winograd rounds, so it differs from the exact sums.
#include <apprentice/base/unit.h>
#include <apprentice/tools/bench/lowbit_conv2d_problem.h>
#include <apprentice/tools/bench/onednn.h>

namespace apprentice::tools {
namespace {

using Problem = LowbitConv2dProblem<2>;
using onednn::Prepared, onednn::Tag, onednn::Type;

struct Variant {
  const char* name;
  bool int8;
  dnnl::algorithm algorithm;
};

/// Weights as f32 [out, in, kh, kw]: the only form from which oneDNN makes all its weight layouts.
std::vector<float> weights_of(const Problem& p) {
  const auto& codes = p.args.weight;
  const int64_t in = p.args.x.size(3), taps = codes.cols / in;
  std::vector<float> values;
  for (int64_t o = 0; o < codes.rows; ++o)
    for (int64_t i = 0; i < in; ++i)
      for (int64_t tap = 0; tap < taps; ++tap) values.push_back(float(codes.at(o, tap * in + i)));
  return values;
}

/// Throws dnnl::error where oneDNN has no such implementation.
std::shared_ptr<Prepared> prepare(const Problem& p, const Variant& v) {
  const auto& a = p.args;
  const auto nchw = [](const std::array<int64_t, 4>& s) {
    return dnnl::memory::dims{s[0], s[3], s[1], s[2]};
  };
  const auto x_dims = nchw(a.x.sizes), y_dims = nchw(a.y.sizes);
  const dnnl::memory::dims w_dims{a.weight.rows, a.x.size(3), a.kernel_size[0], a.kernel_size[1]};
  const dnnl::memory::dims stride{a.geometry.stride[0], a.geometry.stride[1]};
  const dnnl::memory::dims padding{a.geometry.padding[0], a.geometry.padding[1]};
  const Type codes = v.int8 ? Type::u8 : Type::f32, weights = v.int8 ? Type::s8 : Type::f32;
  dnnl::primitive_attr attr;
  dnnl::post_ops relu;
  relu.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
  attr.set_post_ops(relu);
  if (v.int8) attr.set_output_scales(0, {Problem::kScale});
  auto prepared = std::make_shared<Prepared>();
  const dnnl::convolution_forward::primitive_desc pd({dnnl::prop_kind::forward_inference,
                                                      v.algorithm,
                                                      {x_dims, codes, Tag::any},
                                                      {w_dims, weights, Tag::any},
                                                      {y_dims, codes, Tag::any},
                                                      stride,
                                                      padding,
                                                      padding},
                                                     attr, prepared->engine);
  prepared->primitive = dnnl::convolution_forward(pd);
  prepared->args = {{DNNL_ARG_SRC, dnnl::memory(pd.src_desc(), prepared->engine)},
                    {DNNL_ARG_WEIGHTS, dnnl::memory(pd.weights_desc(), prepared->engine)},
                    {DNNL_ARG_DST, dnnl::memory(pd.dst_desc(), prepared->engine)}};
  prepared->write(DNNL_ARG_SRC, {x_dims, Type::u8, Tag::nhwc}, p.x.data());
  prepared->write(DNNL_ARG_WEIGHTS, {w_dims, Type::f32, Tag::oihw}, weights_of(p).data());
  return prepared;
}

BenchCase case_of(std::shared_ptr<Problem> problem, const Variant& v) {
  BenchCase c;
  c.kernel = v.name;
  c.arithmetic = v.int8 ? Arithmetic::int8 : Arithmetic::f32;
  c.operations = problem->operations();
  c.bytes = v.int8 ? problem->bytes() : 4 * problem->bytes();
  c.peer = true;
  try {
    auto prepared = prepare(*problem, v);
    c.run = [prepared] { prepared->run(); };
    if (v.int8) {
      c.verify = [problem, prepared] {
        const auto& s = problem->args.y.sizes;
        prepared->read(DNNL_ARG_DST, {{s[0], s[3], s[1], s[2]}, Type::u8, Tag::nhwc},
                       problem->y.data());
        return problem->compare();
      };
    }
  } catch (const dnnl::error& e) {
    c.refusal = e.message;
  }
  return c;
}

std::vector<BenchCase> cases(const BenchShape& shape, Device device) {
  if (!device.is_cpu()) return {};
  auto problem = std::make_shared<Problem>(shape);
  std::vector<BenchCase> all;
  for (const Variant& v :
       {Variant{"onednn_conv2d_f32_direct", false, dnnl::algorithm::convolution_direct},
        Variant{"onednn_conv2d_f32_winograd", false, dnnl::algorithm::convolution_winograd},
        Variant{"onednn_conv2d_u8s8_direct", true, dnnl::algorithm::convolution_direct},
        Variant{"onednn_conv2d_u8s8_winograd", true, dnnl::algorithm::convolution_winograd}}) {
    all.push_back(case_of(problem, v));
  }
  return all;
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(onednn_conv2d) {
  using namespace apprentice::tools;
  benchmarks().add("onednn_conv2d", {"conv2d", cases});
}
