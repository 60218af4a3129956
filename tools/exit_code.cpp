#include <apprentice/tools/exit_code.h>

#include <apprentice/base/error.h>
#include <apprentice/distill/stop.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {

ExitCode exit_code_of(const std::exception& error) {
  const auto is = [&error]<class E>(const E*) { return dynamic_cast<const E*>(&error) != nullptr; };
  if (is((distill::Stopped*)nullptr)) return kStopped;
  if (is((UsageError*)nullptr)) return kUsage;
  if (is((ConfigError*)nullptr)) return kBadConfig;
  if (is((MissingInput*)nullptr)) return kMissing;
  if (is((DamagedFile*)nullptr) || is((ShapeError*)nullptr) || is((DtypeError*)nullptr))
    return kDamaged;
  if (is((CannotCreate*)nullptr)) return kCannotCreate;
  if (is((IoError*)nullptr)) return kIo;
  if (is((DeviceError*)nullptr)) return kNoDevice;
  return kCheckFailed;
}

}  // namespace apprentice::tools
