#include <catch2/catch.hpp>
#include <cmath>

#include <apprentice/kernels/dense/vendor/shared_library_internal.h>

using namespace apprentice::kernels::dense;
using Catch::Contains;

TEST_CASE("a library is the first that the loader finds, and its functions are called") {
  SharedLibrary library{"libno-such-library.so.9", "", "libm.so.6"};
  decltype(static_cast<double (*)(double)>(&std::cos)) cosine = nullptr;
  library.bind(cosine, "cos");
  CHECK(library.problem() == "");
  REQUIRE(cosine != nullptr);
  CHECK(cosine(0.0) == 1.0);
  CHECK_THAT(library.path(), Contains("libm.so.6"));
}

TEST_CASE("a library that is not there is a problem that names it, and has no functions") {
  SharedLibrary library{"libno-such-library.so.9", "/nowhere/libno-such-library.so"};
  CHECK_THAT(library.problem(), Contains("libno-such-library.so.9"));
  double (*function)(double) = &std::cos;
  library.bind(function, "cos");
  CHECK(function == nullptr);
  CHECK_THAT(library.problem(), Contains("libno-such-library.so.9"));
}

TEST_CASE("a library without a function that we need is a problem that names the function") {
  SharedLibrary library{"libm.so.6"};
  double (*function)(double) = nullptr;
  library.bind(function, "no_such_function");
  CHECK_THAT(library.problem(), Contains("no_such_function"));
}
