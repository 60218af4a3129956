#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include <apprentice/base/device.h>

namespace apprentice::kernels::dense {

/// Makes it the CUDA device of this thread. DeviceError if that fails.
void use_gpu(int index);
/// "NVIDIA H200".
std::string gpu_name(int index);
/// Is work given to the stream recorded as a graph instead of run?
bool is_recorded(Stream stream);
/// The fastest of the candidates 0 .. n-1, which `run` gives to the stream, by timing them there;
/// waits for them. One for which `run` throws DeviceError, be it for memory, is passed over;
/// nothing if all are.
std::optional<size_t> fastest_in(Stream stream, size_t n, const std::function<void(size_t)>& run);

}  // namespace apprentice::kernels::dense
