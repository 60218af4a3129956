#include <algorithm>
#include <charconv>

#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/cublaslt/product_internal.h>

namespace apprentice::kernels::dense {
namespace {

/// What cuBLAS' makers advise for sm_90; earlier devices need less.
constexpr uint64_t kMostWorkspace = uint64_t(32) << 20;
constexpr size_t kWords = std::size(cublasLtMatmulAlgo_t{}.data);

using Preference = CublasObject<cublasLtMatmulPreference_t, &CublasLt::destroy_preference>;

template <class T>
void set(Preference& preference, cublasLtMatmulPreferenceAttributes_t name, T value) {
  check_cublas(cublaslt().set_preference(preference.raw(), name, &value, sizeof value),
               "cublasLtMatmulPreferenceSetAttribute");
}

Preference make_preference(const GemmProblem& p) {
  Preference preference;
  check_cublas(cublaslt().create_preference(preference.out()), "cublasLtMatmulPreferenceCreate");
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMostWorkspace);
  // Partial sums go to the workspace and are added in a step of their own.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32_t(p.alignment[1]));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, uint32_t(p.alignment[0]));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, uint32_t(p.alignment[3]));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, uint32_t(p.alignment[3]));
  return preference;
}

}  // namespace

std::string text_of(const cublasLtMatmulAlgo_t& algorithm) {
  std::string text;
  for (uint64_t word : algorithm.data) text += fmt::format("{:016x}", word);
  return text;
}

cublasLtMatmulAlgo_t algorithm_of(const std::string& text) {
  cublasLtMatmulAlgo_t algorithm{};
  bool ok = text.size() == 16 * kWords;
  for (size_t i = 0; ok && i < kWords; ++i) {
    const char *begin = text.data() + 16 * i, *end = begin + 16;
    const auto read = std::from_chars(begin, end, algorithm.data[i], 16);
    ok = read.ec == std::errc() && read.ptr == end;
  }
  check<DeviceError>(ok, "cuBLASLt: '{}' is no algorithm", text);
  return algorithm;
}

Product::Layout Product::make_layout(const ColumnMajor& matrix) {
  Layout layout;
  check_cublas(cublaslt().create_layout(layout.out(), CUDA_R_32F, uint64_t(matrix.rows),
                                        uint64_t(matrix.cols), matrix.ld),
               "cublasLtMatrixLayoutCreate");
  return layout;
}

Product::Product(const GemmProblem& p) : problem_(p) {
  const auto compute =
      p.precision == Precision::f32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
  check_cublas(cublaslt().create_product(product_.out(), compute, CUDA_R_32F),
               "cublasLtMatmulDescCreate");
  const auto op = [](const ColumnMajor& m) -> int32_t {
    return m.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, op(p.first()));
  set(CUBLASLT_MATMUL_DESC_TRANSB, op(p.second()));
  if (p.bias) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t(CUBLASLT_EPILOGUE_BIAS));
    // The heuristics look at how the address is aligned, and at nothing else of it.
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, reinterpret_cast<const void*>(p.alignment[2]));
  }
  first_ = make_layout(p.first());
  second_ = make_layout(p.second());
  out_ = make_layout(p.out());
}

std::vector<GemmAlgorithm> Product::propose(cublasLtHandle_t handle, int most) const {
  const Preference preference = make_preference(problem_);
  std::vector<cublasLtMatmulHeuristicResult_t> results{size_t(most)};
  int count = 0;
  check_cublas(cublaslt().heuristic(handle, product_.raw(), first_.raw(), second_.raw(), out_.raw(),
                                    out_.raw(), preference.raw(), most, results.data(), &count),
               "cublasLtMatmulAlgoGetHeuristic");
  std::vector<GemmAlgorithm> algorithms;
  for (int i = 0; i < count; ++i)
    if (results[size_t(i)].state == CUBLAS_STATUS_SUCCESS)
      algorithms.push_back({results[size_t(i)].algo, results[size_t(i)].workspaceSize});
  check<DeviceError>(!algorithms.empty(), "cuBLASLt has no algorithm");
  return algorithms;
}

GemmAlgorithm Product::restore(cublasLtHandle_t handle, const std::string& text) const {
  GemmAlgorithm restored{algorithm_of(text), 0};
  cublasLtMatmulHeuristicResult_t result{};
  check_cublas(cublaslt().check_algorithm(handle, product_.raw(), first_.raw(), second_.raw(),
                                          out_.raw(), out_.raw(), &restored.algorithm, &result),
               "cublasLtMatmulAlgoCheck");
  check_cublas(result.state, "cublasLtMatmulAlgoCheck");
  check<DeviceError>(result.workspaceSize <= kMostWorkspace,
                     "cuBLASLt: '{}' wants {} bytes of workspace", text, result.workspaceSize);
  restored.workspace = result.workspaceSize;
  return restored;
}

void Product::run(cublasLtHandle_t handle, const GemmAlgorithm& algorithm, const GemmMemory& memory,
                  void* workspace, Stream stream) {
  const float alpha = 1.0f, beta = problem_.accumulate ? 1.0f : 0.0f;
  if (problem_.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, memory.bias);
  check_cublas(cublaslt().multiply(handle, product_.raw(), &alpha, memory.b, first_.raw(), memory.a,
                                   second_.raw(), &beta, memory.c, out_.raw(), memory.c, out_.raw(),
                                   &algorithm.algorithm, workspace, algorithm.workspace,
                                   static_cast<cudaStream_t>(stream.handle)),
               "cublasLtMatmul");
}

}  // namespace apprentice::kernels::dense
