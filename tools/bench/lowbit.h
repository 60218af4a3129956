#pragma once

#include <memory>
#include <random>
#include <vector>

#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/tools/benchmark.h>

namespace apprentice::tools {

/// Random packed weight codes over the whole grid, -max_code to max_code.
template <int Bits>
std::vector<uint8_t> random_codes(int64_t rows, int64_t cols, std::mt19937& random) {
  std::uniform_int_distribution<int> code(-kernels::max_code<Bits>, kernels::max_code<Bits>);
  std::vector<int8_t> codes(size_t(rows * cols));
  for (int8_t& c : codes) c = int8_t(code(random));
  std::vector<uint8_t> bytes(size_t(rows * kernels::packed_row_bytes(Bits, cols)));
  kernels::pack_codes<Bits>({codes.data(), {rows, cols}}, bytes.data());
  return bytes;
}

/// A case for every kernel in the table of Op. `problem` owns the memory behind `args`, whose `acc`
/// is what is compared with the reference kernel's.
template <class Op, class Problem>
std::vector<BenchCase> lowbit_cases(std::shared_ptr<Problem> problem, double operations,
                                    double bytes) {
  std::vector<BenchCase> cases;
  const auto& table = kernels::kernel_table<Op>().kernels();
  for (const auto& kernel : table) {
    BenchCase c{kernel.name, operations, bytes, {}, {}, ""};
    if (kernel.refuse) c.refusal = kernel.refuse(problem->args);
    if (c.refusal.empty()) {
      auto args = std::make_shared<typename Op::Args>(problem->args);
      auto prepacked = kernel.prepack ? kernel.prepack(*args) : nullptr;
      args->prepacked = prepacked.get();
      c.run = [run = kernel.run, args, prepacked, problem] { run(*args, {}); };
      c.verify = [problem, &table]() -> std::string {
        const std::vector<int32_t> got = problem->acc;
        table.back().run(problem->args, {});
        return got == problem->acc ? "" : "accumulators differ from the reference";
      };
    }
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace apprentice::tools
