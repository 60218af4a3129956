#pragma once

#include <string>

namespace apprentice::kernels::dense {

/// Why cuDNN (cuBLASLt) cannot be used, or "": not there when this was built, or not found now.
/// The library is loaded at the first question.
std::string cudnn_problem();
std::string cublaslt_problem();
/// For people: the versions that this was built with and that were loaded, or why there is none.
std::string cudnn_status();
std::string cublaslt_status();

}  // namespace apprentice::kernels::dense
