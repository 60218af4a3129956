#pragma once

#include <cstdint>

namespace apprentice::tools {

/// What one instruction set does at most. Each loop runs `rounds` times on one thread and returns
/// the operations done, or sums `bytes` bytes (a multiple of 512).
struct RooflineLoops {
  int64_t (*int8)(int64_t rounds);
  int64_t (*f32)(int64_t rounds);
  void (*read)(const void* memory, int64_t bytes);
};

namespace vnni {
extern const RooflineLoops roofline_loops;
}
namespace avx2 {
extern const RooflineLoops roofline_loops;
}

}  // namespace apprentice::tools
