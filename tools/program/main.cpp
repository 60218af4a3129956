#include <apprentice/tools/run_program.h>

int main(int argc, char** argv) { return apprentice::tools::run_program(argc, argv); }
