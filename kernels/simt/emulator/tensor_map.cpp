#include <apprentice/kernels/simt/emulated/tensor_map.h>

#include <algorithm>

#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

// The copy engine's walk over a tensor, element rows of the first axis at a time: which bytes of
// global memory, or zeros, come to which 16-byte chunk of shared memory.
namespace apprentice::simt::emu {

namespace {

uint32_t swizzle_span(Swizzle swizzle) {
  switch (swizzle) {
    case Swizzle::b128:
      return 128;
    case Swizzle::b64:
      return 64;
    case Swizzle::b32:
      return 32;
    default:
      return 1 << 20;
  }
}

void check_axes(const TensorMapSpec& s) {
  check<Fault>(s.rank >= 1 && s.rank <= 5, "tensor map: rank {}, expected 1 to 5", s.rank);
  for (int axis = 0; axis < s.rank; ++axis) {
    check<Fault>(s.sizes[axis] >= 1 && s.sizes[axis] <= 1ull << 32,
                 "tensor map: size {} of axis {}, expected 1 to 2^32", s.sizes[axis], axis);
    check<Fault>(axis == 0 || (s.strides[axis] % 16 == 0 && s.strides[axis] < 1ull << 40),
                 "tensor map: stride {} of axis {}, expected a multiple of 16 bytes",
                 s.strides[axis], axis);
    check<Fault>(s.steps[axis] >= 1 && s.steps[axis] <= 8,
                 "tensor map: step {} of axis {}, expected 1 to 8", s.steps[axis], axis);
    check<Fault>(s.im2col || (s.box[axis] >= 1 && s.box[axis] <= 256),
                 "tensor map: box of {} on axis {}, expected 1 to 256", s.box[axis], axis);
  }
  check<Fault>(s.steps[0] == 1, "tensor map: step {} of the first axis, expected 1", s.steps[0]);
}

void check_im2col(const TensorMapSpec& s) {
  check<Fault>(s.rank == 4, "tensor map: im2col of rank {}, expected 4", s.rank);
  check<Fault>(s.channels >= 1 && s.channels <= 256 && s.pixels >= 1 && s.pixels <= 1024,
               "tensor map: {} channels of {} pixels, expected at most 256 and 1024", s.channels,
               s.pixels);
  for (int i = 0; i < 2; ++i) {
    const int low = std::min(s.lower[i], s.upper[i]), high = std::max(s.lower[i], s.upper[i]);
    check<Fault>(low >= -128 && high <= 127, "tensor map: corners {} and {}, expected -128 to 127",
                 s.lower[i], s.upper[i]);
  }
}

/// One copy while it is planned: rows of the first axis, one after the other in shared memory.
class Plan {
 public:
  Plan(void* to, const TensorMap& map, uint64_t* barrier, const Site& site)
      : map_(map), to_(shared_offset(to, site)), site_(site) {
    const uint32_t bytes = box_bytes(map.spec);
    check_aligned(to, 128, site);
    require_shared(to, bytes, "tensor_copy", site);
    require_shared(barrier, 8, "tensor_copy", site);
    if (checker) checker->barrier_is_used(barrier, place_of(site));
    copy_.bytes = bytes;
    copy_.barrier = barrier;
    copy_.thread = self()->linear;
  }

  /// `count` elements from `first` on of the first axis, in the row at `others` of axes 1 and up.
  void add_row(int64_t first, uint32_t count, const int64_t* others) {
    const TensorMapSpec& s = map_.spec;
    bool inside = true;
    int64_t row = 0;
    for (int axis = 1; axis < s.rank; ++axis) {
      const int64_t i = others[axis - 1];
      inside &= i >= 0 && i < int64_t(s.sizes[axis]);
      row += i * int64_t(s.strides[axis]);
    }
    const int64_t element = s.element_bytes, per_chunk = 16 / element;
    for (int64_t at = 0; at < count; at += per_chunk) {
      // Of the chunk, what lies inside the tensor is copied and the rest is zero.
      const int64_t begin = std::clamp<int64_t>(-(first + at), 0, per_chunk);
      const int64_t end = std::clamp<int64_t>(int64_t(s.sizes[0]) - (first + at), begin, per_chunk);
      const char* from = static_cast<const char*>(map_.base) + row + (first + at) * element;
      char* chunk = engine->arena + swizzle_address(to_ + written_, s.swizzle);
      written_ += 16;
      if (!inside || begin == end) {
        add(chunk, nullptr, 16);
        continue;
      }
      if (begin > 0) add(chunk, nullptr, uint32_t(begin * element));
      add(chunk + begin * element, from + begin * element, uint32_t((end - begin) * element));
      if (end < per_chunk)
        add(chunk + end * element, nullptr, uint32_t((per_chunk - end) * element));
    }
  }

  void start() { start_copy(std::move(copy_)); }

 private:
  void add(char* to, const char* from, uint32_t bytes) {
    if (checker) {
      const void* place = place_of(site_);
      if (from) checker->access(*self(), from, bytes, Access::read, place, false);
      checker->access(*self(), to, bytes, Access::write, place, false);
      checker->copy_begins(to, bytes);
    }
    copy_.segments.push_back({to, from, bytes});
  }

  const TensorMap& map_;
  uint32_t to_, written_ = 0;
  const Site& site_;
  BulkCopy copy_;
};

}  // namespace

TensorMap make_tensor_map(const TensorMapSpec& s, const void* base) {
  check<Fault>(reinterpret_cast<uintptr_t>(base) % 16 == 0,
               "tensor map: memory at {}, expected a multiple of 16 bytes", base);
  check<Fault>(s.element_bytes == 1 || s.element_bytes == 2 || s.element_bytes == 4,
               "tensor map: elements of {} bytes, expected 1, 2 or 4", s.element_bytes);
  check_axes(s);
  if (s.im2col) check_im2col(s);
  const uint32_t row = uint32_t(s.element_bytes) * (s.im2col ? s.channels : s.box[0]);
  check<Fault>(row % 16 == 0, "tensor map: rows of {} bytes, expected a multiple of 16", row);
  check<Fault>(row <= swizzle_span(s.swizzle),
               "tensor map: rows of {} bytes do not fit the {} bytes of the swizzle", row,
               swizzle_span(s.swizzle));
  return {s, base};
}

void tensor_copy(void* to, const TensorMap& map, const int* at, int rank, uint64_t* barrier,
                 const Site& site) {
  const TensorMapSpec& s = map.spec;
  if (s.im2col || rank != s.rank)
    fail(site, "tensor_copy: {} coordinates for a map of rank {}{}", rank, s.rank,
         s.im2col ? " for im2col" : "");
  Plan plan(to, map, barrier, site);
  uint32_t i[5] = {};  // which of the elements taken of each axis; the first goes by rows
  int axis;
  do {
    int64_t others[4] = {};
    for (int a = 1; a < rank; ++a) others[a - 1] = at[a] + int64_t(i[a]) * s.steps[a];
    plan.add_row(at[0], s.box[0], others);
    for (axis = 1; axis < rank && ++i[axis] == taken(s, axis); ++axis) i[axis] = 0;
  } while (axis < rank);
  plan.start();
}

void tensor_copy_im2col(void* to, const TensorMap& map, const int (&at)[4], const int (&tap)[2],
                        uint64_t* barrier, const Site& site) {
  const TensorMapSpec& s = map.spec;
  if (!s.im2col) fail(site, "tensor_copy_im2col: the map is not for im2col");
  if (tap[0] > 255 || tap[1] > 255)
    fail(site, "tensor_copy_im2col: tap ({}, {}), at most 255 are possible", tap[0], tap[1]);
  const int64_t last_w = int64_t(s.sizes[1]) - 1 + s.upper[0];
  const int64_t last_h = int64_t(s.sizes[2]) - 1 + s.upper[1];
  int64_t w = at[1], h = at[2], image = at[3];
  if (w < s.lower[0] || w > last_w || h < s.lower[1] || h > last_h)
    fail(site, "tensor_copy_im2col: starts at w {}, h {}, outside of its corners", w, h);
  Plan plan(to, map, barrier, site);
  for (uint32_t pixel = 0; pixel < s.pixels; ++pixel) {
    const int64_t others[3] = {w + tap[0], h + tap[1], image};
    plan.add_row(at[0], s.channels, others);
    if ((w += s.steps[1]) <= last_w) continue;
    w = s.lower[0];
    if ((h += s.steps[2]) <= last_h) continue;
    h = s.lower[1];
    image += s.steps[3];
  }
  plan.start();
}

}  // namespace apprentice::simt::emu
