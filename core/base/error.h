#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace apprentice {

/// Base of every error the library throws. The message names the thing, the value and what was
/// wanted.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Sizes that do not fit an operation.
class ShapeError : public Error {
  using Error::Error;
};
/// A number type that an operation does not take.
class DtypeError : public Error {
  using Error::Error;
};
/// A device or instruction set that is absent or does not fit.
class DeviceError : public Error {
  using Error::Error;
};
/// A recipe, policy or option that makes no sense.
class ConfigError : public Error {
  using Error::Error;
};
/// A number that must be finite is not, or a comparison that must hold does not.
class CheckFailed : public Error {
  using Error::Error;
};

/// Reading or writing failed; also the base of the kinds below.
class IoError : public Error {
  using Error::Error;
};
/// A file or data set that should be there is not.
class MissingInput : public IoError {
  using IoError::IoError;
};
/// A file whose content is not what its format allows.
class DamagedFile : public IoError {
  using IoError::IoError;
};
/// An output that exists already or cannot be created.
class CannotCreate : public IoError {
  using IoError::IoError;
};

/// Throws E with the formatted message unless `ok`. For callers' mistakes: always on.
template <class E = Error, class... Args>
void check(bool ok, fmt::format_string<Args...> message, Args&&... args) {
  if (!ok) throw E(fmt::format(message, std::forward<Args>(args)...));
}

}  // namespace apprentice

/// Our own invariants, in debug builds only.
#ifdef NDEBUG
#define APPRENTICE_ASSERT(cond) ((void)0)
#else
#include <cassert>
#define APPRENTICE_ASSERT(cond) assert(cond)
#endif
