#pragma once

#include <apprentice/kernels/normalize.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Thread t of the grid takes numbers t, t + threads, ... of y: channels lie side by side, so a
/// warp reads and writes runs of bytes and of floats.
SIMT_KERNEL_BOUNDS(kMapThreads, 4) normalize_images_kernel(NormalizeImages::Args a) {
  const int64_t height = a.x.size(1), width = a.x.size(2), channels = a.x.size(3);
  for (int64_t i = first_element(); i < a.y.numel(); i += element_step()) {
    const int64_t c = i % channels, w = i / channels % width, h = i / (channels * width) % height;
    const int64_t n = i / (channels * width * height);
    const bool mirror = a.mirror && a.mirror(n);
    const int64_t row = h + (a.shift ? a.shift(n, 0) : 0);
    const int64_t column = (mirror ? width - 1 - w : w) + (a.shift ? a.shift(n, 1) : 0);
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    a.y.data[i] = inside ? (float(a.x(n, row, column, c)) / 255.0f - a.mean(c)) / a.std(c) : 0.0f;
  }
}

inline void normalize_images(const NormalizeImages::Args& a, simt::Stream stream) {
  simt::launch(normalize_images_kernel, blocks_for(a.y.numel()), kMapThreads, 0, stream, a);
}

}  // namespace apprentice::kernels::SIMT_NS
