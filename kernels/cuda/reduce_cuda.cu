#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/reduce.cuh>

namespace apprentice::kernels::SIMT_NS {
namespace {

template <class Args>
size_t scratch_bytes(const Args& args) {
  return reduce_scratch_bytes(args.x.sizes);
}

std::string refuse_argmax(const ArgMax<float>::Args& args) {
  const int64_t axis = args.x.size(1);
  return axis >> 32 ? fmt::format("an axis of {}, expected fewer than 2^32", axis) : "";
}

}  // namespace
}  // namespace apprentice::kernels::SIMT_NS

APPRENTICE_UNIT(reduce_cuda) {
  using namespace apprentice;
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda_with_scratch<Reduce<float>>(SIMT_NS::reduce<float>, SIMT_NS::scratch_bytes);
  SIMT_NS::add_cuda_with_scratch<Reduce<Bf16>>(SIMT_NS::reduce<Bf16>, SIMT_NS::scratch_bytes);
  SIMT_NS::add_cuda_with_scratch<ArgMax<float>>(SIMT_NS::argmax, SIMT_NS::scratch_bytes,
                                                SIMT_NS::refuse_argmax);
}
