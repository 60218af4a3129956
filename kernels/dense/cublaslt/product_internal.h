#pragma once

#include <string>
#include <utility>
#include <vector>

#include <apprentice/kernels/dense/cublaslt/library_internal.h>
#include <apprentice/kernels/dense/plans/gemm_problem_internal.h>
#include <apprentice/kernels/dense/vendor_internal.h>

namespace apprentice::kernels::dense {

/// An object of cuBLASLt; Destroy names the member of CublasLt that ends it.
template <class T, auto Destroy>
class CublasObject {
 public:
  CublasObject() = default;
  CublasObject(CublasObject&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  CublasObject& operator=(CublasObject&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~CublasObject() {
    if (raw_) (cublaslt().*Destroy)(raw_);
  }
  T* out() { return &raw_; }
  T raw() const { return raw_; }

 private:
  T raw_ = nullptr;
};

/// One algorithm for a product and the bytes of workspace it needs.
struct GemmAlgorithm {
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace;
};
/// As hexadecimal digits, for the plan cache; and back, DeviceError for another text.
std::string text_of(const cublasLtMatmulAlgo_t& algorithm);
cublasLtMatmulAlgo_t algorithm_of(const std::string& text);

/// A problem as cuBLASLt's descriptors.
class Product {
 public:
  explicit Product(const GemmProblem& problem);

  /// What the heuristics propose, the most promising first: only algorithms whose sums are taken
  /// in one order (none that adds partial sums to the output in place). DeviceError if none.
  std::vector<GemmAlgorithm> propose(cublasLtHandle_t handle, int most) const;
  /// An algorithm of the plan cache. DeviceError if it does not fit.
  GemmAlgorithm restore(cublasLtHandle_t handle, const std::string& text) const;
  void run(cublasLtHandle_t handle, const GemmAlgorithm& algorithm, const GemmMemory& memory,
           void* workspace, Stream stream);

 private:
  using Layout = CublasObject<cublasLtMatrixLayout_t, &CublasLt::destroy_layout>;
  static Layout make_layout(const ColumnMajor& matrix);
  template <class T>
  void set(cublasLtMatmulDescAttributes_t name, const T& value) {
    check_cublas(cublaslt().set_product(product_.raw(), name, &value, sizeof value),
                 "cublasLtMatmulDescSetAttribute");
  }

  GemmProblem problem_;
  CublasObject<cublasLtMatmulDesc_t, &CublasLt::destroy_product> product_;
  Layout first_, second_, out_;
};

}  // namespace apprentice::kernels::dense
