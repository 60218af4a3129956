#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/tools/bench/device_copies.h>
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

/// "" if `got` holds `expected`, else where and how often they differ.
template <class T>
std::string compare_codes(const T* got, const std::vector<T>& expected) {
  int64_t differing = 0, first = -1;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (got[i] == expected[i]) continue;
    if (differing++ == 0) first = int64_t(i);
  }
  if (differing == 0) return "";
  return fmt::format("{} of {} values differ, the first is {}, the reference has {}", differing,
                     expected.size(), got[first], expected[size_t(first)]);
}

/// A case for every kernel of `device` in the table of the problem's operation. The problem owns
/// the memory behind its `args`; its args_in(copies) are the same in memory of a device, and its
/// compare() says why the outputs in its own memory are wrong, or "".
template <class Problem>
std::vector<BenchCase> lowbit_cases(std::shared_ptr<Problem> problem, Device device) {
  using Op = typename Problem::Op;
  const auto copies = std::make_shared<DeviceCopies>(device);
  const DeviceGuard current(device);
  const typename Op::Args args_there = problem->args_in(*copies);
  std::vector<BenchCase> cases;
  for (const auto& kernel : kernels::kernel_table<Op>().kernels(device.kind)) {
    BenchCase c;
    c.kernel = kernel.name;
    c.arithmetic = Arithmetic::int8;
    c.operations = problem->operations();
    c.bytes = problem->bytes();
    if (kernel.refuse) c.refusal = kernel.refuse(args_there);
    if (c.refusal.empty()) {
      auto args = std::make_shared<typename Op::Args>(args_there);
      auto prepacked = kernel.prepack ? kernel.prepack(*args) : nullptr;
      args->prepacked = prepacked.get();
      c.run = [run = kernel.run, args, prepacked, device] { run(*args, current_stream(device)); };
      c.verify = [problem, copies] {
        copies->fetch();
        return problem->compare();
      };
    }
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace apprentice::tools
