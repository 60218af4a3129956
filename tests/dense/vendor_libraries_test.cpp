#include <catch2/catch.hpp>
#include <tuple>

#include <apprentice/kernels/dense/vendor_libraries.h>

using namespace apprentice::kernels::dense;
using Catch::Contains;

TEST_CASE("a vendor's library either works or tells why not, and has a status either way") {
  for (const auto& [name, problem, status] :
       {std::tuple{"cuDNN", cudnn_problem(), cudnn_status()},
        std::tuple{"cuBLASLt", cublaslt_problem(), cublaslt_status()}}) {
    CAPTURE(name, problem, status);
    CHECK((problem.empty() || problem.find(name) != std::string::npos));
    CHECK(!status.empty());
    if (problem.empty()) CHECK_THAT(status, Contains("loaded"));
  }
}
