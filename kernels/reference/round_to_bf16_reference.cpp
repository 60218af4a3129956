#include <apprentice/base/unit.h>
#include <apprentice/kernels/reference/reference_internal.h>
#include <apprentice/kernels/round_to_bf16.h>
#include <apprentice/kernels/simt/types.h>

namespace apprentice::kernels {
namespace {

void round_to_bf16(const RoundToBf16::Args& a) {
  for (int64_t i = 0; i < a.x.numel(); ++i) a.y(i) = simt::to_bf16(a.x(i));
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(round_to_bf16_reference) {
  using namespace apprentice::kernels;
  add_reference<RoundToBf16>(round_to_bf16);
}
