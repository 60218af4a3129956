#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/pool.cuh>

namespace apprentice::kernels::SIMT_NS {
namespace {

template <class Args>
size_t scratch_bytes(const Args& args) {
  return reduce_scratch_bytes(pooled_sizes(args));
}

template <class T>
void add_all() {
  add_cuda<MaxPool2d<T>>(max_pool<T>);
  add_cuda<MaxPool2dBackward<T>>(max_pool_backward<T>);
  add_cuda<AvgPool2d<T>>(avg_pool<T>);
  add_cuda<AvgPool2dBackward<T>>(avg_pool_backward<T>);
  add_cuda_with_scratch<GlobalAvgPool<T>>(global_avg_pool<T>, scratch_bytes);
  add_cuda<GlobalAvgPoolBackward<T>>(global_avg_pool_backward<T>);
  add_cuda<ShortcutA<T>>(shortcut_a<T>);
  add_cuda<ShortcutABackward<T>>(shortcut_a_backward<T>);
}

}  // namespace
}  // namespace apprentice::kernels::SIMT_NS

APPRENTICE_UNIT(pool_cuda) {
  using namespace apprentice;
  using namespace apprentice::kernels;
  SIMT_NS::add_all<float>();
  SIMT_NS::add_all<Bf16>();
  SIMT_NS::add_cuda<MaxPool2d<uint8_t>>(SIMT_NS::max_pool<uint8_t>);
}
