#include <apprentice/kernels/simt/emulated/warp.h>

#include <algorithm>
#include <cstring>

#include <apprentice/kernels/simt/emulated/sync.h>
#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

namespace apprentice::simt::emu {

namespace {

/// Calls fn(lane) for each lane of the mask, ascending.
template <class Fn>
void for_lanes(uint32_t mask, Fn fn) {
  for (; mask; mask &= mask - 1) fn(__builtin_ctz(mask));
}

/// The collective of exactly this mask that waits for more lanes, or a free one.
Collective& find_collective(Warp& warp, uint32_t mask) {
  Collective* free = nullptr;
  for (Collective& c : warp.pending) {
    if (c.arrived && c.mask == mask) return c;
    if (!c.arrived && !free) free = &c;
    if (!c.arrived && !c.mask) break;  // never used in this block: nothing waits behind it
  }
  return *free;
}

}  // namespace

void warp_collective(const char* name, uint32_t mask, const void* in, void* out, WarpFunction fn,
                     uint32_t argument, const Site& site) {
  Engine& e = *engine;
  Thread* me = self();
  Warp& warp = *me->warp;
  if (!(mask >> me->lane & 1))
    fail(site, "{}: lane {} is not in its own mask {:08x}", name, me->lane, mask);
  if (mask & ~warp.present)
    fail(site, "{}: mask {:08x} names lanes that returned or do not exist (there are {:08x})", name,
         mask, warp.present);
  Collective& c = find_collective(warp, mask);
  if (!c.arrived) {
    c.name = name;
    c.where = site;
    c.mask = mask;
    c.argument = argument;
  } else if (c.name != name || c.argument != argument || !same(c.where, site)) {
    fail(site, "divergent warp: {} meets {} at {} (mask {:08x})", name, c.name, text(c.where),
         mask);
  }
  c.in[me->lane] = in;
  c.out[me->lane] = out;
  c.arrived |= 1u << me->lane;
  if (c.arrived != mask) {
    e.wait(me, Thread::State::waiting, name, site);
    return;
  }
  c.arrived = 0;
  ++e.statistics.collectives;
  fn(c.in, c.out, mask, argument);
  for_lanes(mask & ~(1u << me->lane), [&](int lane) { e.make_ready(warp.lanes[lane]); });
}

void warp_barrier(uint32_t mask, const Site& site) {
  const WarpFunction meet = [](const void* const*, void* const*, uint32_t mask, uint32_t) {
    if (!checker) return;
    unsigned threads[32];
    int n = 0;
    for_lanes(mask, [&](int lane) { threads[n++] = self()->warp->lanes[lane]->linear; });
    checker->met(threads, n);
  };
  warp_collective("sync_warp", mask, nullptr, nullptr, meet, 0, site);
}

namespace {

struct ShuffleCall {
  const void* value;
  size_t bytes;
  int argument, width;
  const Site* site;
};

/// The lane that `lane` reads (PTX ISA, shfl.sync).
int source_lane(Shuffle kind, int lane, int argument, int width) {
  const int first = lane & ~(width - 1), last = first + width - 1;
  switch (kind) {
    case Shuffle::index:
      return first | (argument & (width - 1));
    case Shuffle::up:
      return lane - argument < first ? lane : lane - argument;
    case Shuffle::down:
      return lane + argument > last ? lane : lane + argument;
    default:
      return (lane ^ argument) > last ? lane : lane ^ argument;
  }
}

void run_shuffle(const void* const* in, void* const* out, uint32_t mask, uint32_t kind) {
  for_lanes(mask, [&](int lane) {
    const auto& call = *static_cast<const ShuffleCall*>(in[lane]);
    const int from = source_lane(Shuffle(kind), lane, call.argument, call.width);
    if (from < 0 || from > 31 || !(mask >> from & 1))
      fail(*call.site, "shuffle: lane {} reads lane {}, which is not in mask {:08x}", lane, from,
           mask);
    std::memcpy(out[lane], static_cast<const ShuffleCall*>(in[from])->value, call.bytes);
  });
}

}  // namespace

void shuffle(Shuffle kind, const void* in, void* out, size_t bytes, int argument, int width,
             uint32_t mask, const Site& site) {
  if (width < 1 || width > 32 || (width & (width - 1)))
    fail(site, "shuffle: width {}, expected a power of two up to 32", width);
  const ShuffleCall call{in, bytes, argument, width, &site};
  warp_collective("shuffle", mask, &call, out, run_shuffle, uint32_t(kind), site);
}

uint32_t vote(bool p, uint32_t mask, const Site& site) {
  const WarpFunction run = [](const void* const* in, void* const* out, uint32_t mask, uint32_t) {
    uint32_t votes = 0;
    for_lanes(mask,
              [&](int lane) { votes |= uint32_t(*static_cast<const bool*>(in[lane])) << lane; });
    for_lanes(mask, [&](int lane) { *static_cast<uint32_t*>(out[lane]) = votes; });
  };
  uint32_t votes = 0;
  warp_collective("vote", mask, &p, &votes, run, 0, site);
  return votes;
}

int warp_reduce(Reduction kind, int v, uint32_t mask, const Site& site) {
  const WarpFunction run = [](const void* const* in, void* const* out, uint32_t mask,
                              uint32_t kind) {
    int total = *static_cast<const int*>(in[__builtin_ctz(mask)]);
    for_lanes(mask & (mask - 1), [&](int lane) {
      const int x = *static_cast<const int*>(in[lane]);
      switch (Reduction(kind)) {
        case Reduction::add:
          total = int(uint32_t(total) + uint32_t(x));
          break;
        case Reduction::max:
          total = std::max(total, x);
          break;
        case Reduction::min:
          total = std::min(total, x);
          break;
      }
    });
    for_lanes(mask, [&](int lane) { *static_cast<int*>(out[lane]) = total; });
  };
  int total = 0;
  warp_collective("reduce", mask, &v, &total, run, uint32_t(kind), site);
  return total;
}

}  // namespace apprentice::simt::emu
