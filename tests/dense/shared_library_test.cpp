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

TEST_CASE("a library's status tells its versions and file, or why it is not used") {
  CHECK(library_status(90807, "gone") == "built with 9.8.7; gone");
  CHECK(library_status(130001, 130200, "/lib/x") == "built with 13.0.1, loaded 13.2.0 from /lib/x");
}
