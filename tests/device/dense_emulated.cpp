// Dense products and convolutions of the emulated device, which vendor libraries compute on a GPU:
// its memory is the host's, so here the references of the CPU do.
#include <apprentice/base/unit.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/gemm.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/simt/simt.h>

namespace apprentice::kernels {
namespace {

template <class Op>
void add() {
  kernel_table<Op>().add({.name = fmt::format("{}_{}_emulated_host", Op::name, Op::types),
                          .family = "host",
                          .priority = 0,
                          .refuse = nullptr,
                          .run =
                              [](const typename Op::Args& args, Stream stream) {
                                simt::emu::give(stream.handle, [=] {
                                  kernel_table<Op>().select(args, {"reference"}).run(args, {});
                                });
                              },
                          .where = Device::Kind::emulated});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(dense_emulated) {
  using namespace apprentice::kernels;
  add<Gemm<float>>();
  add<Conv2d<float>>();
  add<Conv2dBackwardData<float>>();
  add<Conv2dBackwardWeight<float>>();
}
