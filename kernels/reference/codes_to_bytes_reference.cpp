#include <apprentice/base/unit.h>
#include <apprentice/kernels/codes_to_bytes.h>
#include <apprentice/kernels/reference/reference_internal.h>

APPRENTICE_UNIT(codes_to_bytes_reference) {
  using namespace apprentice::kernels;
  add_reference<CodesToBytes>([](const CodesToBytes::Args& a) {
    for (int64_t i = 0; i < a.x.numel(); ++i) a.y(i) = uint8_t(a.x(i));
  });
}
