#pragma once

#include <apprentice/base/error.h>
#include <apprentice/nn/module.h>

namespace apprentice::nn {

/// A module on another device while one is alive, then back on its own.
class OnDevice {
 public:
  OnDevice(Module& module, Device device) : module_(module), before_(module.device()) {
    module.to(device);
  }
  ~OnDevice() {
    try {
      module_.to(before_);
    } catch (const DeviceError&) {
      // The device is lost or full, and the next operation there says so.
    }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  Module& module_;
  Device before_;
};

}  // namespace apprentice::nn
