#pragma once

#include <string>

#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// Ends the table of Op with `run`: any shape, plain loops, sums in double.
template <class Op>
void add_reference(void (*run)(const typename Op::Args&)) {
  kernel_table<Op>().add(
      {.name = std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_reference",
       .family = "reference",
       .priority = 0,
       .refuse = nullptr,
       .run = [run](const typename Op::Args& args, Stream) { run(args); }});
}

}  // namespace apprentice::kernels
