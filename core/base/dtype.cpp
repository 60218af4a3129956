#include <apprentice/base/dtype.h>

#include <array>

namespace apprentice {
namespace {

struct Info {
  std::string_view name;
  size_t bytes;
};
constexpr std::array<Info, 8> kInfo{{{"f32", 4},
                                     {"f64", 8},
                                     {"bf16", 2},
                                     {"f16", 2},
                                     {"i64", 8},
                                     {"i32", 4},
                                     {"i8", 1},
                                     {"u8", 1}}};

}  // namespace

size_t size_of(Dtype dtype) { return kInfo[size_t(dtype)].bytes; }
std::string_view name_of(Dtype dtype) { return kInfo[size_t(dtype)].name; }

}  // namespace apprentice
