#pragma once

#if defined(SIMT_EMULATED)
#include <apprentice/kernels/simt/emulator.h>
#include <apprentice/kernels/simt/simt.h>

namespace apprentice::testing {

/// How many launches work(stream) gives to its stream; none of them runs.
template <class Work>
size_t recorded_launches(const Work& work) {
  int stream = 0;
  simt::emu::begin_recording(&stream);
  work(simt::Stream(&stream));
  return simt::emu::end_recording().size();
}

}  // namespace apprentice::testing
#endif
