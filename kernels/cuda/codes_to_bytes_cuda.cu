#include <apprentice/base/unit.h>
#include <apprentice/kernels/cuda/register_internal.h>
#include <apprentice/kernels/cuda/codes_to_bytes.cuh>

APPRENTICE_UNIT(codes_to_bytes_cuda) {
  using namespace apprentice::kernels;
  SIMT_NS::add_cuda<CodesToBytes>(SIMT_NS::codes_to_bytes);
}
