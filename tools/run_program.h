#pragma once

namespace apprentice::tools {

/// The whole program: parses, runs one verb, prints errors to stderr; returns the exit code.
int run_program(int argc, char** argv);

}  // namespace apprentice::tools
