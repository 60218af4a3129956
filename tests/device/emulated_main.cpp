// The program with the emulated device in it: `--device emulated` works as `--device cuda` does on
// a machine that has one, but for speed.
#include <apprentice/tools/run_program.h>

#include "test_device.h"

int main(int argc, char** argv) {
  apprentice::load_emulated_units();
  return apprentice::tools::run_program(argc, argv);
}
