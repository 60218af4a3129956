#pragma once

#include <type_traits>

#include <apprentice/kernels/simt/emulated/base.h>

namespace apprentice::simt {

namespace emu {
enum class Shuffle { index, exclusive_or, up, down };
enum class Reduction { add, max, min };
void shuffle(Shuffle kind, const void* in, void* out, size_t bytes, int argument, int width,
             uint32_t mask, const Site& site);
uint32_t vote(bool p, uint32_t mask, const Site& site);
int warp_reduce(Reduction kind, int v, uint32_t mask, const Site& site);

template <class T>
T shuffled(Shuffle kind, T v, int argument, int width, uint32_t mask, const Site& site) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  T r;
  shuffle(kind, &v, &r, sizeof(T), argument, width, mask, site);
  return r;
}
}  // namespace emu

inline namespace api_emu {

template <class T>
T shfl(T v, int source, int width = 32, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::shuffled(emu::Shuffle::index, v, source, width, mask, site);
}
template <class T>
T shfl_xor(T v, int lanes, int width = 32, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::shuffled(emu::Shuffle::exclusive_or, v, lanes, width, mask, site);
}
template <class T>
T shfl_up(T v, unsigned by, int width = 32, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::shuffled(emu::Shuffle::up, v, int(by), width, mask, site);
}
template <class T>
T shfl_down(T v, unsigned by, int width = 32, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::shuffled(emu::Shuffle::down, v, int(by), width, mask, site);
}

inline uint32_t ballot(bool p, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::vote(p, mask, site);
}
inline bool any(bool p, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::vote(p, mask, site) != 0;
}
inline bool all(bool p, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::vote(p, mask, site) == mask;
}
inline int reduce_add(int v, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::warp_reduce(emu::Reduction::add, v, mask, site);
}
inline int reduce_max(int v, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::warp_reduce(emu::Reduction::max, v, mask, site);
}
inline int reduce_min(int v, uint32_t mask = full_mask, SIMT_SITE) {
  return emu::warp_reduce(emu::Reduction::min, v, mask, site);
}

}  // namespace api_emu
}  // namespace apprentice::simt
