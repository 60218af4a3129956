#pragma once

#include <exception>

namespace apprentice::tools {

/// What the program exits with. Numbers from 64 up are those of sysexits.h.
enum ExitCode {
  kOk = 0,
  kCheckFailed = 1,
  kUsage = 2,
  kDamaged = 65,
  kMissing = 66,
  kNoDevice = 69,
  kCannotCreate = 73,
  kIo = 74,
  kStopped = 75,
  kBadConfig = 78,
};

/// The code for an error that reached main.
ExitCode exit_code_of(const std::exception& error);

}  // namespace apprentice::tools
