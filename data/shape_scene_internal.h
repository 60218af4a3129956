#pragma once

#include <cstdint>
#include <span>

#include <apprentice/base/rng.h>

namespace apprentice::data {

/// Pixels of a side of a scene.
inline constexpr int64_t kSceneSide = 32;

/// A shape of about radius 1 around the origin: negative inside, about the distance to the border.
struct Outline {
  const char* name;
  float (*distance)(float x, float y);
};
/// The ten classes, by label.
std::span<const Outline> outlines();

/// Draws a scene that shows the shape `label` to `rgb`, [32, 32, 3] u8. Over a dark textured ground
/// lie two or three faint, smaller shapes of other classes, then the shape itself, bright and
/// textured, at any place, size, stretch and a slight turn, then a bar across it, then noise. Only
/// +, -, *, / and sqrt are used, so that the bytes are the same on every machine.
void draw_scene(size_t label, Rng& rng, uint8_t* rgb);

}  // namespace apprentice::data
