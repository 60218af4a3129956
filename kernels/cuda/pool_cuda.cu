#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/pool.cuh>

namespace apprentice::kernels::SIMT_NS {
namespace {

size_t scratch_bytes(const GlobalAvgPool<float>::Args& args) {
  return reduce_scratch_bytes(pooled_sizes(args));
}

}  // namespace
}  // namespace apprentice::kernels::SIMT_NS

APPRENTICE_UNIT(pool_cuda) {
  using namespace apprentice::kernels;
  using namespace apprentice::kernels::SIMT_NS;
  add_cuda<MaxPool2d<float>>(max_pool<float>);
  add_cuda<MaxPool2d<uint8_t>>(max_pool<uint8_t>);
  add_cuda<MaxPool2dBackward<float>>(max_pool_backward);
  add_cuda<AvgPool2d<float>>(avg_pool);
  add_cuda<AvgPool2dBackward<float>>(avg_pool_backward);
  add_cuda_with_scratch<GlobalAvgPool<float>>(global_avg_pool, scratch_bytes);
  add_cuda<GlobalAvgPoolBackward<float>>(global_avg_pool_backward);
  add_cuda<ShortcutA<float>>(shortcut_a);
  add_cuda<ShortcutABackward<float>>(shortcut_a_backward);
}
