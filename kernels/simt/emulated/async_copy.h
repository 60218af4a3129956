#pragma once

#include <apprentice/kernels/simt/emulated/base.h>

namespace apprentice::simt {

namespace emu {
void copy_async(void* to, const void* from, int bytes, int source_bytes, const Site& site);
void copy_commit();
void copy_wait(int groups);
}  // namespace emu

inline namespace api_emu {

template <int Bytes = 16>
void cp_async(void* to, const void* from, int source_bytes = Bytes, SIMT_SITE) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  emu::copy_async(to, from, Bytes, source_bytes, site);
}
inline void cp_async_commit() { emu::copy_commit(); }
template <int N>
void cp_async_wait() {
  emu::copy_wait(N);
}

}  // namespace api_emu
}  // namespace apprentice::simt
