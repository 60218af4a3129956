#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {
namespace {

template <class F>
void add_unary() {
  add_cuda<MapUnary<F, float>>(map_unary<F, float>);
  add_cuda<MapUnary<F, Bf16>>(map_unary<F, Bf16>);
}
template <class F>
void add_binary() {
  add_cuda<MapBinary<F, float>>(map_binary<F, float>);
  add_cuda<MapBinary<F, Bf16>>(map_binary<F, Bf16>);
}

void add_all() {
#define APPRENTICE_UNARY(name, value, slope) add_unary<functions::name>();
#define APPRENTICE_BINARY(name, value) add_binary<functions::name>();
#include <apprentice/kernels/functions.inc>
#undef APPRENTICE_UNARY
#undef APPRENTICE_BINARY
}

}  // namespace
}  // namespace apprentice::kernels::SIMT_NS

APPRENTICE_UNIT(map_cuda) { apprentice::kernels::SIMT_NS::add_all(); }
