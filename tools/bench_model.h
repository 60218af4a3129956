#pragma once

#include <functional>

#include <CLI/App.hpp>

namespace apprentice::tools {

/// `bench model`: images a second and latency of a model file, packed or not, or of an architecture
/// with random weights, on random images, on any device.
std::function<int()> add_bench_model(CLI::App& app);
/// `bench step`: a whole training step of an architecture, or a distillation step under a teacher
/// architecture (0.5 CE + 0.5 T^2 KL at T = 4).
std::function<int()> add_bench_step(CLI::App& app);

}  // namespace apprentice::tools
