#include <apprentice/base/unit.h>
#include <apprentice/kernels/convert.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class From, class To>
void convert(const typename Convert<From, To>::Args& a) {
  for (int64_t i = 0; i < a.x.numel(); ++i) a.y(i) = To(float(a.x(i)));
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(convert_reference) {
  using namespace apprentice;
  using namespace apprentice::kernels;
  add_reference<Convert<float, Bf16>>(convert<float, Bf16>);
  add_reference<Convert<Bf16, float>>(convert<Bf16, float>);
}
