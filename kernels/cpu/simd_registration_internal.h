#pragma once

#include <string>
#include <type_traits>

#include <apprentice/base/cpu.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// The functions of one *_simd.cpp, by instruction set; null where the platform has no such set.
template <class Table>
struct SimdSet {
  const Table* baseline;
  const Table* avx2;
  const Table* avx512;
};

#if APPRENTICE_X86
#define APPRENTICE_SIMD_SET(table) \
  ::apprentice::kernels::SimdSet { &baseline::table, &avx2::table, &avx512::table }
#else
#define APPRENTICE_SIMD_SET(table)                                                 \
  ::apprentice::kernels::SimdSet<std::remove_const_t<decltype(baseline::table)>> { \
    &baseline::table, nullptr, nullptr                                             \
  }
#endif

/// Registers `run(functions, args)` for every instruction set, the widest first: families "avx512",
/// "avx2" and, for what any processor of the platform has, "simd". `refuse` and `prepack` may be
/// null; `team` as in Kernel.
template <class Op, class Table>
void add_simd(const SimdSet<Table>& set, void (*run)(const Table&, const typename Op::Args&),
              std::string (*refuse)(const typename Op::Args&) = nullptr,
              std::shared_ptr<const Prepacked> (*prepack)(const std::type_identity_t<Table>&,
                                                          const typename Op::Args&) = nullptr,
              bool team = false) {
  const auto add = [&](const Table* table, const char* family, int priority, bool offered) {
    if (!table) return;
    decltype(Kernel<Op>::prepack) own_prepack;
    if (prepack) {
      own_prepack = [table, prepack](const typename Op::Args& a) { return prepack(*table, a); };
    }
    kernel_table<Op>().add(
        {.name = fmt::format("{}_{}_cpu_{}", Op::name, Op::types, family),
         .family = family,
         .priority = priority,
         .refuse =
             [family, offered, refuse](const typename Op::Args& args) {
               if (!offered) return fmt::format("the processor has no {}", family);
               return refuse ? refuse(args) : std::string();
             },
         .run = [table, run](const typename Op::Args& args, Stream) { run(*table, args); },
         .prepack = own_prepack,
         .team = team});
  };
  add(set.avx512, "avx512", 30, cpu_features().avx512);
  add(set.avx2, "avx2", 20, cpu_features().avx2);
  add(set.baseline, "simd", 10, true);
}

/// Registers `run`, plain loops over all cores that any compiler vectorises well enough: what is
/// bound by memory gains nothing from wider instructions.
template <class Op>
void add_portable(void (*run)(const typename Op::Args&),
                  std::string (*refuse)(const typename Op::Args&) = nullptr) {
  kernel_table<Op>().add({.name = fmt::format("{}_{}_cpu_simd", Op::name, Op::types),
                          .family = "simd",
                          .priority = 10,
                          .refuse = refuse,
                          .run = [run](const typename Op::Args& args, Stream) { run(args); }});
}

}  // namespace apprentice::kernels
