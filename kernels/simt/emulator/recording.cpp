#include <apprentice/kernels/simt/emulator.h>
#include <apprentice/kernels/simt/simt.h>

#include <utility>

namespace apprentice::simt::emu {
namespace {

void* recorded_stream = nullptr;
std::vector<std::function<void()>> recorded;

}  // namespace

void give(Stream stream, std::function<void()> work) {
  if (recorded_stream && stream == recorded_stream)
    recorded.push_back(std::move(work));
  else
    work();
}

void begin_recording(void* stream) { recorded_stream = stream; }

std::vector<std::function<void()>> end_recording() {
  recorded_stream = nullptr;
  return std::exchange(recorded, {});
}

}  // namespace apprentice::simt::emu
