#pragma once

#include <string>

#include <apprentice/kernels/simt/emulator.h>

namespace apprentice::testing {

/// The message of the Fault that fn() ends with, or "".
template <class Fn>
std::string fault_of(Fn fn) {
  try {
    fn();
  } catch (const simt::emu::Fault& fault) {
    return fault.what();
  }
  return "";
}

}  // namespace apprentice::testing
