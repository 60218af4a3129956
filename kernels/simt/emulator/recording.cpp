#include <apprentice/kernels/simt/emulator.h>
#include <apprentice/kernels/simt/simt.h>

#include <set>
#include <utility>

namespace apprentice::simt::emu {
namespace {

std::set<void*> recorded_streams;
std::vector<RecordedWork> recorded;

}  // namespace

void give(Stream stream, std::function<void()> work) {
  if (is_recorded(stream))
    recorded.push_back({stream, std::move(work)});
  else
    work();
}

void begin_recording(void* stream) { recorded_streams.insert(stream); }

bool is_recorded(void* stream) { return recorded_streams.count(stream) != 0; }

size_t recorded_works() { return recorded.size(); }

std::vector<RecordedWork> end_recording() {
  recorded_streams.clear();
  return std::exchange(recorded, {});
}

}  // namespace apprentice::simt::emu
