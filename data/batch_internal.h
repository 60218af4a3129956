#pragma once

#include <vector>

#include <apprentice/base/view.h>
#include <apprentice/data/batch.h>

namespace apprentice::data {

/// Where the pixels and labels of a set lie.
struct Samples {
  View4<const uint8_t> pixels;
  View1<const int64_t> labels;
};

/// ShapeError if the sizes of the set do not agree.
void check_sizes(const ImageSet& set);
/// Draft::request on this device, copied in its current stream. Error if an id is not in the set or
/// its label is no class.
Tensor make_request(const ImageSet& set, const std::vector<int64_t>& ids, uint64_t seed,
                    int64_t epoch, Device device);
/// What the request asks for, made where it and the samples lie; x and labels alone.
Batch make_requested(const ImageSet& set, const Samples& samples, const Tensor& request,
                     const Augmentation& augmentation);

}  // namespace apprentice::data
