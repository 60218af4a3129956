#pragma once

#include <vector>

#include <apprentice/data/batch.h>

namespace apprentice::data {

/// ShapeError if the sizes of the set do not agree.
void check_sizes(const ImageSet& set);
/// Error if an id is not in the set or its label is no class.
void check_samples(const ImageSet& set, const std::vector<int64_t>& ids);
/// A batch of these samples without its values.
Batch empty_batch(const ImageSet& set, const std::vector<int64_t>& ids, int64_t epoch,
                  Device device);

}  // namespace apprentice::data
