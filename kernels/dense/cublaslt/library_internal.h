#pragma once

#include <cublasLt.h>

#include <string>

namespace apprentice::kernels::dense {

/// The functions of cuBLASLt that we call; all null where `problem` says why.
struct CublasLt {
  decltype(&::cublasLtGetVersion) version = nullptr;
  decltype(&::cublasLtGetStatusName) status_name = nullptr;
  decltype(&::cublasLtCreate) create = nullptr;
  decltype(&::cublasLtMatmulDescCreate) create_product = nullptr;
  decltype(&::cublasLtMatmulDescDestroy) destroy_product = nullptr;
  decltype(&::cublasLtMatmulDescSetAttribute) set_product = nullptr;
  decltype(&::cublasLtMatrixLayoutCreate) create_layout = nullptr;
  decltype(&::cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
  decltype(&::cublasLtMatmulPreferenceCreate) create_preference = nullptr;
  decltype(&::cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) heuristic = nullptr;
  decltype(&::cublasLtMatmulAlgoCheck) check_algorithm = nullptr;
  decltype(&::cublasLtMatmul) multiply = nullptr;

  std::string problem;  ///< why it cannot be used, or ""
  std::string path;     ///< the file that it was loaded from, or ""
};

/// Loaded at the first call.
const CublasLt& cublaslt();
/// DeviceError with the call and cuBLAS' name of the status, unless it succeeded.
void check_cublas(cublasStatus_t status, const char* call);

}  // namespace apprentice::kernels::dense
