#include <algorithm>

#include <apprentice/packed/memory_plan_internal.h>

namespace apprentice::packed {

MemoryPlan plan_memory(const std::vector<Lifetime>& outputs) {
  MemoryPlan plan;
  std::vector<size_t> busy_until;  // by slot: the last layer that reads what is in it
  for (size_t i = 0; i < outputs.size(); ++i) {
    size_t slot = 0;
    while (slot < busy_until.size() && busy_until[slot] >= i) ++slot;
    if (slot == busy_until.size()) {
      busy_until.push_back(0);
      plan.slot_bytes.push_back(0);
    }
    busy_until[slot] = outputs[i].last_reader;
    plan.slot_bytes[slot] = std::max(plan.slot_bytes[slot], outputs[i].bytes);
    plan.slot.push_back(int(slot));
  }
  return plan;
}

}  // namespace apprentice::packed
