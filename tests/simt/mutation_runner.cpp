#define CATCH_CONFIG_RUNNER
#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <cstdio>

// mutation_runner LIBRARY [OPTION...]: runs the kernel tests of a library that mutations.sh made.
int main(int argc, char** argv) {
  constexpr int unusable = 99;  // mutations.sh must not take it for a caught mistake
  if (argc < 2 || !dlopen(argv[1], RTLD_NOW)) {
    std::fprintf(stderr, "mutation_runner: %s\n", argc < 2 ? "no library" : dlerror());
    return unusable;
  }
  argv[1] = argv[0];
  return Catch::Session().run(argc - 1, argv + 1);
}
