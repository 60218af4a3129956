#include <algorithm>
#include <array>
#include <cmath>

#include <apprentice/data/shape_scene_internal.h>

namespace apprentice::data {
namespace {

using Color = std::array<float, 3>;

float length(float x, float y) { return std::sqrt(x * x + y * y); }

/// Regular polygon: the farthest of its edges, whose normals are given.
template <size_t N>
float polygon(const std::array<std::array<float, 2>, N>& normals, float apothem, float x, float y) {
  float farthest = -2;
  for (const auto& n : normals) farthest = std::max(farthest, n[0] * x + n[1] * y);
  return farthest - apothem;
}

constexpr std::array<std::array<float, 2>, 3> kTriangle{
    {{0, -1}, {0.8660254f, 0.5f}, {-0.8660254f, 0.5f}}};
constexpr std::array<std::array<float, 2>, 5> kPentagon{{{0, -1},
                                                         {0.9510565f, -0.3090170f},
                                                         {0.5877853f, 0.8090170f},
                                                         {-0.5877853f, 0.8090170f},
                                                         {-0.9510565f, -0.3090170f}}};

/// Five points: inside where at most one of the five lines through its edges is crossed.
float star(float x, float y) {
  std::array<float, 5> beyond{};
  for (size_t i = 0; i < 5; ++i) beyond[i] = kPentagon[i][0] * x + kPentagon[i][1] * y - 0.38f;
  std::nth_element(beyond.begin(), beyond.begin() + 3, beyond.end());
  return beyond[3];
}

float box(float x, float y, float half_width, float half_height) {
  return std::max(std::abs(x) - half_width, std::abs(y) - half_height);
}

constexpr std::array<Outline, 10> kOutlines{{
    {"crescent",
     [](float x, float y) { return std::max(length(x, y) - 0.95f, 0.75f - length(x - 0.5f, y)); }},
    {"cross",
     [](float x, float y) { return std::min(box(x, y, 0.95f, 0.3f), box(x, y, 0.3f, 0.95f)); }},
    {"disk", [](float x, float y) { return length(x, y) - 0.85f; }},
    {"half_disk", [](float x, float y) { return std::max(length(x, y + 0.4f) - 1.0f, -0.4f - y); }},
    {"pentagon", [](float x, float y) { return polygon(kPentagon, 0.75f, x, y); }},
    {"ring", [](float x, float y) { return std::abs(length(x, y) - 0.65f) - 0.22f; }},
    {"square", [](float x, float y) { return box(x, y, 0.75f, 0.75f); }},
    {"star", star},
    {"tee",
     [](float x, float y) {
       return std::min(box(x, y - 0.6f, 0.85f, 0.28f), box(x, y + 0.15f, 0.28f, 0.8f));
     }},
    {"triangle", [](float x, float y) { return polygon(kTriangle, 0.5f, x, y + 0.1f); }},
}};

float bar(float x, float y) { return box(x, y, 3.0f, 0.08f); }

float between(Rng& rng, float low, float high) { return low + (high - low) * rng.uniform(); }

/// Rises from 0 to 1 and falls again with period 1.
float wave(float u) { return std::abs(2 * (u - std::floor(u)) - 1); }

/// A direction within 41 degrees of upright, by the rational points of the circle: no sine is
/// needed.
struct Turn {
  float cosine, sine;
  explicit Turn(Rng& rng) {
    const float t = between(rng, -0.37f, 0.37f);
    cosine = (1 - t * t) / (1 + t * t);
    sine = 2 * t / (1 + t * t);
  }
};

Color random_color(Rng& rng) { return {rng.uniform(), rng.uniform(), rng.uniform()}; }

Color mix(const Color& a, const Color& b, float part) {
  Color c;
  for (size_t i = 0; i < 3; ++i) c[i] = a[i] + (b[i] - a[i]) * part;
  return c;
}

float difference(const Color& a, const Color& b) {
  return std::abs(a[0] - b[0]) + std::abs(a[1] - b[1]) + std::abs(a[2] - b[2]);
}

/// Two colours in stripes, squares, dots or a gradient.
struct Texture {
  Color first, second;
  uint32_t kind;
  Turn turn;
  float period, phase;

  Texture(const Color& color, float contrast, Rng& rng)
      : first(color),
        second(mix(color, random_color(rng), contrast)),
        kind(rng.below(4)),
        turn(rng),
        period(between(rng, 3.0f, 9.0f)),
        phase(rng.uniform()) {}

  Color at(float x, float y) const {
    const float u = (turn.cosine * x + turn.sine * y) / period + phase;
    const float v = (turn.cosine * y - turn.sine * x) / period + phase;
    float part = 0;
    if (kind == 0) part = wave(u / 8);
    if (kind == 1) part = 4 * wave(u) - 1.5f;
    if (kind == 2) part = 0.5f + 8 * (wave(u) - 0.5f) * (wave(v) - 0.5f);
    if (kind == 3) part = 4 * (wave(u) + wave(v)) - 5.5f;
    return mix(first, second, std::clamp(part, 0.0f, 1.0f));
  }
};

struct Canvas {
  std::array<Color, size_t(kSceneSide* kSceneSide)> pixels;
};

/// A shape on the canvas: its place and size in pixels.
struct Figure {
  float (*distance)(float x, float y);
  float x, y, radius, stretch, opacity;
  Turn turn;
  Texture texture;

  void draw(Canvas& canvas) const {
    for (int64_t row = 0; row < kSceneSide; ++row) {
      for (int64_t column = 0; column < kSceneSide; ++column) {
        const float dx = float(column) - x, dy = float(row) - y;
        const float u = (turn.cosine * dx + turn.sine * dy) / radius;
        const float v = (turn.cosine * dy - turn.sine * dx) / (radius * stretch);
        if (std::abs(u) > 3 || std::abs(v) > 3) continue;
        const float cover = std::clamp(0.5f - distance(u, v) * radius, 0.0f, 1.0f);
        if (cover == 0) continue;
        Color& pixel = canvas.pixels[size_t(row * kSceneSide + column)];
        pixel = mix(pixel, texture.at(float(column), float(row)), cover * opacity);
      }
    }
  }
};

Figure random_figure(float (*distance)(float, float), float radius, const Texture& texture,
                     Rng& rng) {
  const float middle = float(kSceneSide - 1) / 2, room = std::max(0.0f, middle - radius - 0.5f);
  return {.distance = distance,
          .x = middle + between(rng, -room, room),
          .y = middle + between(rng, -room, room),
          .radius = radius,
          .stretch = between(rng, 0.7f, 1.0f),
          .opacity = 1,
          .turn = Turn(rng),
          .texture = texture};
}

/// Grounds are darker than figures: a shape of any brightness on any ground takes a network far
/// more pictures to learn than the set holds.
Color dark_color(Rng& rng) { return mix({0, 0, 0}, random_color(rng), 0.6f); }
Color bright_color(const Color& ground, Rng& rng) {
  for (;;) {
    const Color color = mix({1, 1, 1}, random_color(rng), 0.6f);
    if (difference(color, ground) >= 0.9f) return color;
  }
}

void add_noise(Canvas& canvas, float deviation, Rng& rng) {
  for (Color& pixel : canvas.pixels) {
    for (float& value : pixel) {
      const uint32_t bits = rng.bits();
      const uint32_t sum = (bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24);
      value += (float(sum) - 510.0f) / 147.8f * deviation;  // 147.8: deviation of the sum of four
    }
  }
}

}  // namespace

std::span<const Outline> outlines() { return kOutlines; }

void draw_scene(size_t label, Rng& rng, uint8_t* rgb) {
  Canvas canvas;
  const Color ground = dark_color(rng);
  const Texture ground_texture(ground, 0.25f, rng);
  for (int64_t i = 0; i < kSceneSide * kSceneSide; ++i) {
    canvas.pixels[size_t(i)] = ground_texture.at(float(i % kSceneSide), float(i / kSceneSide));
  }
  for (uint32_t i = 2 + rng.below(2); i > 0; --i) {
    const size_t other = (label + 1 + rng.below(9)) % kOutlines.size();
    const Texture texture(random_color(rng), 0.3f, rng);
    Figure figure = random_figure(kOutlines[other].distance, between(rng, 4, 7), texture, rng);
    figure.opacity = between(rng, 0.2f, 0.5f);
    figure.draw(canvas);
  }
  const Texture texture(bright_color(ground, rng), 0.25f, rng);
  const Figure figure = random_figure(kOutlines[label].distance, between(rng, 6, 10), texture, rng);
  figure.draw(canvas);
  const Texture bar_texture(random_color(rng), 0.3f, rng);
  Figure across = random_figure(bar, between(rng, 8, 14), bar_texture, rng);
  across.x = figure.x + between(rng, -0.7f, 0.7f) * figure.radius;
  across.y = figure.y + between(rng, -0.7f, 0.7f) * figure.radius;
  across.draw(canvas);
  add_noise(canvas, between(rng, 0.05f, 0.15f), rng);
  for (const Color& pixel : canvas.pixels) {
    for (const float value : pixel) {
      *rgb++ = uint8_t(std::clamp(value, 0.0f, 1.0f) * 255 + 0.5f);
    }
  }
}

}  // namespace apprentice::data
