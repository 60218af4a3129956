#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <apprentice/base/device.h>
#include <apprentice/base/error.h>

namespace apprentice::kernels {

/// Weights in the order one kernel reads them: opaque, made once by that kernel's `prepack`.
struct Prepacked {
  virtual ~Prepacked() = default;
  /// Memory that it takes.
  virtual int64_t bytes() const = 0;
};

/// One way to compute the operation Op, a struct with `name` and `Args` (plain views).
template <class Op>
struct Kernel {
  /// <op>_<types>_<where>_<method>, as in "ternary_gemm_u8w2_cpu_vnni".
  std::string name;
  /// "reference", "simd", "avx2", "vnni", "onednn", "cuda": what --kernel selects by.
  std::string family;
  /// The table is walked from the highest; a reference has 0.
  int priority = 0;
  /// Why this kernel cannot compute `args` here (processor, shape), or "".
  std::function<std::string(const typename Op::Args&)> refuse;
  std::function<void(const typename Op::Args&, Stream)> run;
  /// For operations on packed weights, whose Args have `prepacked`: makes it, once for many runs.
  std::function<std::shared_ptr<const Prepacked>(const typename Op::Args&)> prepack = nullptr;
  /// May be called by all threads of a Team (kernels/team.h).
  bool team = false;
  /// Why a kernel below is faster for `args`, which this one can compute, or "". Then a selection
  /// takes it only if nothing else of what it asks for is there.
  std::function<std::string(const typename Op::Args&)> yield = nullptr;
  /// The memory that it reads and writes is that of such a device.
  Device::Kind where = Device::Kind::cpu;
};

/// Which family a selection asks for.
struct Preference {
  std::string family;  ///< "": by priority
  /// A kernel of another family is an error for every operation that this family computes at all.
  bool require = false;
};
/// The preference of --kernel and --require-kernel, for every selection that names none.
Preference& default_preference();

/// What a walk over a table saw, for messages and APPRENTICE_TRACE=dispatch.
struct Refusal {
  std::string kernel, reason;
};
/// Prints one choice and the refusals on the way to stderr if APPRENTICE_TRACE has "dispatch".
void trace_choice(std::string_view op, const std::string& chosen,
                  const std::vector<Refusal>& refusals);
/// Throws DeviceError listing the refusals.
[[noreturn]] void refuse_all(std::string_view op, const Preference& preference, Device::Kind where,
                             const std::vector<Refusal>& refusals);

/// Names of all kernels of all tables, and of their families, sorted; for listings.
std::vector<std::string> kernel_names();
std::vector<std::string> kernel_families();
void note_kernel(const std::string& name, const std::string& family);

/// Every kernel of one operation: for each kind of device, by falling priority.
template <class Op>
class KernelTable {
 public:
  void add(Kernel<Op> kernel) {
    auto& those = kernels_[size_t(kernel.where)];
    auto at = those.begin();
    while (at != those.end() && at->priority >= kernel.priority) ++at;
    note_kernel(kernel.name, kernel.family);
    those.insert(at, std::move(kernel));
  }
  /// Those for the memory of such devices.
  const std::vector<Kernel<Op>>& kernels(Device::Kind where = Device::Kind::cpu) const {
    return kernels_[size_t(where)];
  }

  /// The kernel for such a device, of the preferred family, that takes `args`, or else the first
  /// that does. DeviceError if none does, or if the preference requires its family and all of it
  /// here declines.
  const Kernel<Op>& select(const typename Op::Args& args,
                           const Preference& preference = default_preference(),
                           Device::Kind where = Device::Kind::cpu) const {
    std::vector<Refusal> refusals;
    if (!preference.family.empty()) {
      if (const auto* found = walk(args, preference.family, where, refusals)) return *found;
      if (preference.require && !refusals.empty())
        refuse_all(Op::name, preference, where, refusals);
    }
    if (const auto* found = walk(args, "", where, refusals)) return *found;
    refuse_all(Op::name, preference, where, refusals);
  }

 private:
  const Kernel<Op>* walk(const typename Op::Args& args, const std::string& family,
                         Device::Kind where, std::vector<Refusal>& refusals) const {
    const Kernel<Op>* spare = nullptr;
    for (const Kernel<Op>& kernel : kernels(where)) {
      if (!family.empty() && kernel.family != family) continue;
      std::string reason = kernel.refuse ? kernel.refuse(args) : "";
      const bool able = reason.empty();
      if (able && kernel.yield) reason = kernel.yield(args);
      if (reason.empty()) {
        trace_choice(Op::name, kernel.name, refusals);
        return &kernel;
      }
      if (able && !spare) spare = &kernel;
      refusals.push_back({kernel.name, std::move(reason)});
    }
    if (spare) trace_choice(Op::name, spare->name, refusals);
    return spare;
  }

  std::array<std::vector<Kernel<Op>>, kDeviceKinds> kernels_;
};

/// Registers the kernels of this library, once.
void load_tables();
/// One place for all tables, so that a table is one object in any number of shared libraries.
std::shared_ptr<void>& table_slot(const std::string& key);

/// The table of Op. Template operations on T give their `name` and `types` ("f32"), so that every
/// instance has its own.
template <class Op>
KernelTable<Op>& kernel_table() {
  load_tables();
  static KernelTable<Op>* table = [] {
    auto& slot = table_slot(std::string(Op::name) + "_" + std::string(Op::types));
    if (!slot) slot = std::make_shared<KernelTable<Op>>();
    return static_cast<KernelTable<Op>*>(slot.get());
  }();
  return *table;
}

/// Selects a kernel for the stream's device and runs it.
template <class Op>
void launch(const typename Op::Args& args, Stream stream = {}) {
  kernel_table<Op>().select(args, default_preference(), stream.device.kind).run(args, stream);
}

}  // namespace apprentice::kernels
