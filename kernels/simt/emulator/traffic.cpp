#include <apprentice/kernels/simt/emulator/traffic_internal.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace apprentice::simt::emu {

namespace {

constexpr uintptr_t banks = 32, word_bytes = 4, sector_bytes = 32;
/// A warp that moves more than 4 bytes a lane is served in parts of 128 bytes.
constexpr uint32_t phase_bytes = 128;

size_t sort_unique(std::vector<uintptr_t>& v) {
  std::sort(v.begin(), v.end());
  v.erase(std::unique(v.begin(), v.end()), v.end());
  return v.size();
}

}  // namespace

void Traffic::reset(unsigned threads) {
  warps_.assign((threads + 31) / 32, {});
  totals_ = Statistics{};
}

void Traffic::add(const Thread& thread, const void* p, size_t bytes, const void* place,
                  bool shared) {
  warps_[thread.linear / 32].push_back(
      {place, 0, uint16_t(thread.lane), shared, reinterpret_cast<uintptr_t>(p), uint32_t(bytes)});
}

Traffic::Cost Traffic::wavefronts(std::vector<uintptr_t>& words) {
  const size_t distinct = sort_unique(words);  // lanes that read the same word share it
  uint64_t in_bank[banks] = {}, most = 1;
  for (uintptr_t word : words) most = std::max(most, ++in_bank[word % banks]);
  words.clear();
  return {most, std::max<uint64_t>(1, (distinct + banks - 1) / banks)};
}

Traffic::Cost Traffic::shared_cost(const Entry* begin, const Entry* end) {
  const uint32_t lanes = begin->bytes <= word_bytes ? 32 : phase_bytes / begin->bytes;
  Cost total{0, 0};
  std::vector<uintptr_t> words;
  while (begin < end) {
    const uint32_t phase = begin->lane / lanes;
    for (; begin < end && begin->lane / lanes == phase; ++begin) {
      const uintptr_t last = (begin->address + begin->bytes - 1) / word_bytes;
      for (uintptr_t w = begin->address / word_bytes; w <= last; ++w) words.push_back(w);
    }
    const Cost c = wavefronts(words);
    total.cost += c.cost;
    total.ideal += c.ideal;
  }
  return total;
}

Traffic::Cost Traffic::global_cost(const Entry* begin, const Entry* end) {
  std::vector<uintptr_t> bytes, sectors;
  for (; begin < end; ++begin)
    for (uintptr_t b = begin->address; b < begin->address + begin->bytes; ++b) {
      bytes.push_back(b);
      sectors.push_back(b / sector_bytes);
    }
  const uint64_t ideal = (sort_unique(bytes) + sector_bytes - 1) / sector_bytes;
  return {sort_unique(sectors), ideal};
}

void Traffic::flush_warp(std::vector<Entry>& entries) {
  std::map<std::pair<const void*, uint16_t>, uint32_t> times;
  for (Entry& e : entries) e.nth = times[{e.place, e.lane}]++;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.place, a.nth, a.lane) < std::tie(b.place, b.nth, b.lane);
  });
  const Entry* end = entries.data() + entries.size();
  for (const Entry* begin = entries.data(); begin < end;) {
    const Entry* next = begin;
    while (next < end && next->place == begin->place && next->nth == begin->nth) ++next;
    if (begin->shared) {
      const Cost c = shared_cost(begin, next);
      ++totals_.shared_requests;
      totals_.shared_wavefronts += c.cost;
      totals_.shared_ideal += c.ideal;
    } else {
      const Cost c = global_cost(begin, next);
      ++totals_.global_requests;
      totals_.global_sectors += c.cost;
      totals_.global_ideal += c.ideal;
    }
    begin = next;
  }
  entries.clear();
}

void Traffic::flush() {
  for (auto& warp : warps_) flush_warp(warp);
}

void Traffic::add_collective(const void* const* rows, int count, size_t bytes) {
  std::vector<uintptr_t> words;
  for (int i = 0; i < count; ++i)
    for (size_t b = 0; b < bytes; b += word_bytes)
      words.push_back((reinterpret_cast<uintptr_t>(rows[i]) + b) / word_bytes);
  const Cost c = wavefronts(words);
  ++totals_.shared_requests;
  totals_.shared_wavefronts += c.cost;
  totals_.shared_ideal += c.ideal;
}

}  // namespace apprentice::simt::emu
