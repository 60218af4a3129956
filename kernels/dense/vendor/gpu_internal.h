#pragma once

#include <string>

#include <apprentice/base/device.h>

namespace apprentice::kernels::dense {

/// Makes it the CUDA device of this thread. DeviceError if that fails.
void use_gpu(int index);
/// "NVIDIA H200".
std::string gpu_name(int index);
/// Is work given to the stream recorded as a graph instead of run?
bool is_recorded(Stream stream);
/// Time that `work`, given to the stream a few times in a row, takes there each time; waits for it.
double milliseconds_of(Stream stream, void (*work)(void* of), void* of);

/// The same for a callable.
template <class Work>
double milliseconds_of(Stream stream, Work work) {
  return milliseconds_of(
      stream, [](void* of) { (*static_cast<Work*>(of))(); }, &work);
}

}  // namespace apprentice::kernels::dense
