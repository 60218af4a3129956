#include <algorithm>

#include <apprentice/packed/schedule_internal.h>

namespace apprentice::packed {
namespace {

int64_t images_of(const LayerWork& layer, int64_t most, int64_t cache_bytes) {
  if (cache_bytes == 0) return most;
  int64_t images = 1;
  while (images < most && 2 * images * (layer.reads + layer.writes) <= cache_bytes) images *= 2;
  return std::min(images, most);
}

std::vector<Segment> segments_of(const std::vector<LayerWork>& layers, int64_t most,
                                 int64_t cache_bytes) {
  std::vector<Segment> segments;
  for (size_t i = 0; i < layers.size(); ++i) {
    const int64_t images = images_of(layers[i], most, cache_bytes);
    if (segments.empty() || segments.back().images != images) segments.push_back({i, i, images});
    segments.back().end = i + 1;
  }
  return segments;
}

}  // namespace

Schedule make_schedule(const std::vector<LayerWork>& layers, int64_t images, int64_t cache_bytes) {
  Schedule s;
  s.images = images;
  s.segments = segments_of(layers, images, cache_bytes);
  std::vector<size_t> segment_of(layers.size()), last_reader(layers.size());
  for (size_t k = 0; k < s.segments.size(); ++k) {
    for (size_t i = s.segments[k].begin; i < s.segments[k].end; ++i) segment_of[i] = k;
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    last_reader[i] = i;
    if (layers[i].x >= 0) last_reader[size_t(layers[i].x)] = i;
    if (layers[i].residual >= 0) last_reader[size_t(layers[i].residual)] = i;
  }
  std::vector<Lifetime> blocks;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Segment &own = s.segments[segment_of[i]], &last = s.segments[segment_of[last_reader[i]]];
    s.whole.push_back(&own != &last);
    const bool result = i + 1 == layers.size();
    if (s.whole[i]) {  // filled part by part, read part by part
      blocks.push_back({layers[i].writes * images, own.begin, last.end - 1});
    } else {
      blocks.push_back({result ? 0 : layers[i].writes * own.images, i, last_reader[i]});
    }
  }
  s.memory = plan_memory(blocks);
  return s;
}

}  // namespace apprentice::packed
