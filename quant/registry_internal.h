#pragma once

namespace apprentice::quant {

/// Registers the quantizers of this library, once, before a registry is first read.
void load_registrations();

}  // namespace apprentice::quant
