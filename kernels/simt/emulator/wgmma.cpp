#include <apprentice/kernels/simt/emulated/wgmma.h>

#include <cstring>

#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

// A product is executed by four consecutive warps. It takes effect when its group is waited for, or
// at once; fence, commit and wait are collective over the warpgroup too, which is stricter than
// hardware.
namespace apprentice::simt::emu {

namespace {

/// A K-major tile of 32 bytes of K in shared memory, as its descriptor gives it (PTX ISA,
/// "Matrix-descriptor format", "Canonical layouts"; stride between rows of a core by the swizzle).
class Tile {
 public:
  explicit Tile(uint64_t descriptor)
      : base_(uint32_t(descriptor & 0x3fff) << 4),
        leading_(uint32_t(descriptor >> 16 & 0x3fff) << 4),
        stride_(uint32_t(descriptor >> 32 & 0x3fff) << 4),
        swizzle_(Swizzle(descriptor >> 62)) {}

  /// Offset in shared memory of 16-byte chunk `chunk` (0 or 1) of the row.
  uint32_t offset(int row, int chunk) const {
    const uint32_t group = base_ + uint32_t(row / 8) * stride_, r = uint32_t(row % 8);
    const uint32_t c = uint32_t(chunk);
    switch (swizzle_) {
      case Swizzle::b128:
        return swizzle_address(group + r * 128 + c * 16, swizzle_);
      case Swizzle::b64:
        return swizzle_address(group + r * 64 + c * 16, swizzle_);
      case Swizzle::b32:
        return swizzle_address(group + r * 32 + c * 16, swizzle_);
      default:
        return group + c * leading_ + r * 16;
    }
  }

  void check(int rows, const char* which, const Site& site) const {
    for (int row = 0; row < rows; ++row)
      for (int chunk = 0; chunk < 2; ++chunk) {
        const uint32_t at = offset(row, chunk);
        if (!is_shared(engine->arena + at, 16))
          fail(site,
               "wgmma: row {} of {} lies at byte {} of shared memory, outside of what the "
               "kernel has",
               row, which, at);
      }
  }

  void read(int rows, bool is_signed, int16_t (*to)[32]) const {
    for (int row = 0; row < rows; ++row)
      for (int k = 0; k < 32; ++k) {
        const char byte = engine->arena[offset(row, k / 16) + uint32_t(k % 16)];
        to[row][k] = is_signed ? int16_t(int8_t(byte)) : int16_t(uint8_t(byte));
      }
  }

  /// Tells the access checker that a product of the warpgroup reads the tile.
  void note(int rows, unsigned warpgroup, const void* place) const {
    for (int row = 0; row < rows; ++row)
      for (int chunk = 0; chunk < 2; ++chunk)
        checker->product_reads(warpgroup, engine->arena + offset(row, chunk), 16, place);
  }

 private:
  uint32_t base_, leading_, stride_;
  Swizzle swizzle_;
};

/// A from registers: warp w holds rows 16w to 16w + 15 as mma_m16n8k32 does.
void read_registers(const WgmmaProduct& product, int16_t (*a)[32]) {
  for (int t = 0; t < 128; ++t)
    for (int r = 0; r < 4; ++r)
      for (int b = 0; b < 4; ++b) {
        const int row = 16 * (t / 32) + t % 32 / 4 + 8 * (r & 1);
        const int k = 4 * (t % 4) + b + 16 * (r >> 1);
        const uint8_t byte = uint8_t(product.a[t][r] >> 8 * b);
        a[row][k] = product.call.signs.a ? int16_t(int8_t(byte)) : int16_t(byte);
      }
}

void run(const WgmmaProduct& product) {
  const WgmmaCall& call = product.call;
  int16_t a[64][32], b[256][32];
  if (call.a_registers) {
    read_registers(product, a);
  } else {
    Tile(call.a).read(64, call.signs.a, a);
  }
  Tile(call.b).read(call.width, call.signs.b, b);
  for (int t = 0; t < 128; ++t)
    for (int i = 0; i < call.width / 2; ++i) {
      const int row = 16 * (t / 32) + t % 32 / 4 + 8 * (i >> 1 & 1);
      const int column = 8 * (i >> 2) + 2 * (t % 4) + (i & 1);
      int sum = 0;
      for (int k = 0; k < 32; ++k) sum += a[row][k] * b[column][k];
      int& d = product.d[t][i];
      d = call.accumulate ? int(uint32_t(d) + uint32_t(sum)) : sum;
    }
  ++engine->statistics.products;
}

/// Fault if it reads what is not there; the access checker sees the reads.
void check_reads(const WgmmaProduct& product, const Site& site) {
  const WgmmaCall& call = product.call;
  if (!call.a_registers) Tile(call.a).check(64, "A", site);
  Tile(call.b).check(call.width, "B", site);
  if (!checker) return;
  const void* place = place_of(site);
  const unsigned warpgroup = self()->linear / 128;
  checker->product_begins(warpgroup, product.group);
  if (!call.a_registers) Tile(call.a).note(64, warpgroup, place);
  Tile(call.b).note(call.width, warpgroup, place);
}

bool same_product(const WgmmaCall& x, const WgmmaCall& y) {
  return x.width == y.width && x.signs == y.signs && x.accumulate == y.accumulate &&
         !x.a_registers == !y.a_registers && x.a == y.a && x.b == y.b;
}

using Step = Warpgroup::Step;

/// Gathers the threads; true for the last one, which acts for all.
bool gather(Warpgroup& g, Step step, int argument, const WgmmaCall* call, const Site& site) {
  Thread* me = self();
  if (engine->count < 128 * (me->linear / 128 + 1))
    fail(site, "wgmma: thread {} is in no whole warpgroup of 128 threads", me->linear);
  if (g.arrived == 0) {
    g.step = step;
    g.argument = argument;
    if (call) g.product.call = *call;
  } else if (g.step != step || g.argument != argument ||
             (call && !same_product(g.product.call, *call))) {
    fail(site, "wgmma: the threads of the warpgroup do not execute the same operation");
  }
  if (call) {
    g.product.d[me->linear % 128] = call->d;
    g.product.a[me->linear % 128] = call->a_registers;
  }
  if (++g.arrived < 128) {
    g.waiting.push_back(me);
    engine->wait(me, Thread::State::waiting, "wgmma", site);
    return false;
  }
  g.arrived = 0;
  for (Thread* t : g.waiting) engine->make_ready(t);
  g.waiting.clear();
  return true;
}

Warpgroup& own_warpgroup() { return engine->warpgroups[self()->linear / 128]; }

}  // namespace

void wgmma(const WgmmaCall& call, const Site& site) {
  Warpgroup& g = own_warpgroup();
  if (!gather(g, Step::product, 0, &call, site)) return;
  g.product.group = g.group;
  check_reads(g.product, site);
  if (engine->arrives_at_once()) {
    run(g.product);
  } else {
    g.products.push_back(g.product);
  }
}

void wgmma_fence(const Site& site) { gather(own_warpgroup(), Step::fence, 0, nullptr, site); }

void wgmma_commit(const Site& site) {
  Warpgroup& g = own_warpgroup();
  if (gather(g, Step::commit, 0, nullptr, site)) ++g.group;
}

void wgmma_wait(int groups, const Site& site) {
  Warpgroup& g = own_warpgroup();
  if (!gather(g, Step::wait, groups, nullptr, site)) return;
  std::erase_if(g.products, [&](const WgmmaProduct& product) {
    if (int(g.group - product.group) <= groups) return false;
    run(product);
    return true;
  });
  if (checker && int(g.group) > groups)
    checker->products_end(self()->linear / 128, g.group - unsigned(groups));
}

}  // namespace apprentice::simt::emu
