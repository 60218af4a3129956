#pragma once

#include <algorithm>

#include <apprentice/kernels/augment_images.h>
#include <apprentice/kernels/cuda/tensor_list_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

inline constexpr int kPictureThreads = 256;
/// Numbers of a picture that a block makes: twelve for each thread, a whole one of 32 x 32 pixels.
inline constexpr int kPicturePart = 12 * kPictureThreads;

/// Blocks take parts of pictures, part, part + blocks, ...: one thread draws the picture's
/// transform, and all make its numbers, thread t the fours t, t + threads, ... Runs of bytes lie
/// side by side, forward or mirrored, but for the edges. One transform in shared memory, two
/// barriers a part.
SIMT_KERNEL_BOUNDS(kPictureThreads, 4)
augment_images_kernel(SIMT_GRID_CONSTANT const AugmentImages::Args a, int64_t parts,
                      int64_t parts_each) {
  SIMT_SHARED(int32_t, drawn, 3);
  const int height = int(a.x.size(1)), width = int(a.x.size(2));
  const int64_t numbers = int64_t(height) * width * 3;
  for (int64_t part = blockIdx.x; part < parts; part += gridDim.x) {
    const int64_t n = part / parts_each, id = a.ids.data[n], first = part % parts_each;
    if (threadIdx.x == 0) {
      const Transform t = a.transform(id);
      drawn[0] = t.dy;
      drawn[1] = t.dx;
      drawn[2] = t.mirror;
      if (first == 0) a.y.data[n] = a.labels.data[id];
    }
    simt::sync_block();
    const Transform t{drawn[0], drawn[1], drawn[2] != 0};
    const uint8_t* picture = a.pixels.data + id * numbers;
    float* x = a.x.data + n * numbers;
    const int64_t rest = numbers - first * kPicturePart;
    const int64_t end = first * kPicturePart + (rest < kPicturePart ? rest : kPicturePart);
    for (int64_t at = first * kPicturePart + 4 * threadIdx.x; at < end; at += 4 * kPictureThreads) {
      Four four{};
      SIMT_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int c = int((at + i) % 3), pixel = int((at + i) / 3);
        const int row = pixel / width + t.dy, w = pixel % width;
        const int column = (t.mirror ? width - 1 - w : w) + t.dx;
        if (at + i < end && row >= 0 && row < height && column >= 0 && column < width)
          four.v[i] = (float(picture[(int64_t(row) * width + column) * 3 + c]) / 255.0f -
                       a.mean[size_t(c)]) /
                      a.deviation[size_t(c)];
      }
      store_four(x, at, end, four);
    }
    simt::sync_block();  // the next part's transform goes where this one's is
  }
}

inline void augment_images(const AugmentImages::Args& a, simt::Stream stream) {
  const int64_t numbers = a.x.size(1) * a.x.size(2) * 3;
  const int64_t parts_each = (numbers + kPicturePart - 1) / kPicturePart;
  const int64_t parts = parts_each * a.ids.numel();
  if (parts == 0) return;
  simt::launch(augment_images_kernel, unsigned(std::min<int64_t>(parts, kListBlocks)),
               kPictureThreads, 0, stream, a, parts, parts_each);
}

}  // namespace apprentice::kernels::SIMT_NS
