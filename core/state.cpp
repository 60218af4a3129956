#include <apprentice/core/state.h>

#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include <apprentice/base/safetensors.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/shape.h>

namespace apprentice {
namespace {

constexpr std::array<std::pair<std::string_view, Dtype>, 8> kDtypes{{{"F32", Dtype::f32},
                                                                     {"F64", Dtype::f64},
                                                                     {"BF16", Dtype::bf16},
                                                                     {"F16", Dtype::f16},
                                                                     {"I64", Dtype::i64},
                                                                     {"I32", Dtype::i32},
                                                                     {"I8", Dtype::i8},
                                                                     {"U8", Dtype::u8}}};

std::optional<Dtype> dtype_of_file(std::string_view name) {
  for (const auto& [known, dtype] : kDtypes)
    if (known == name) return dtype;
  return std::nullopt;
}
std::string_view file_name_of(Dtype dtype) {
  for (const auto& [name, known] : kDtypes)
    if (known == dtype) return name;
  return {};
}

float widen_bf16(uint16_t bits) { return Bf16::of_bits(bits); }

/// IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
float widen_f16(uint16_t bits) {
  const uint32_t sign = uint32_t(bits & 0x8000) << 16, rest = bits & 0x7fff;
  if (rest >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000 | (rest & 0x3ff) << 13);
  // Read as a binary32 fraction with the exponent 112 too small, then scaled: subnormals come out
  // right, as the multiplication is exact.
  const float value = std::bit_cast<float>(rest << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
}

Tensor widen(const TensorInfo& info, float (*widen_one)(uint16_t)) {
  Tensor y = Tensor::empty(info.shape);
  float* to = y.data<float>();
  for (int64_t i = 0; i < y.numel(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, info.data.data() + 2 * i, 2);
    to[i] = widen_one(bits);
  }
  return y;
}

/// [out, in, kh, kw] -> [out, kh, kw, in] and back; other ranks as they are.
Tensor from_file_layout(const Tensor& t) { return t.rank() == 4 ? permute(t, {0, 2, 3, 1}) : t; }
Tensor to_file_layout(const Tensor& t) { return t.rank() == 4 ? permute(t, {0, 3, 1, 2}) : t; }

}  // namespace

Tensor read_tensor(const SafetensorsFile& file, const TensorInfo& info) {
  const std::optional<Dtype> dtype = dtype_of_file(info.dtype);
  check<DamagedFile>(dtype.has_value(),
                     "{}: tensor '{}' is {}, expected F32, F64, BF16, F16, I64, I32, I8 or U8",
                     file.name(), info.name, info.dtype);
  if (*dtype == Dtype::bf16) return widen(info, widen_bf16);
  if (*dtype == Dtype::f16) return widen(info, widen_f16);
  Tensor y = Tensor::empty(info.shape, *dtype);
  if (!info.data.empty()) std::memcpy(y.raw(), info.data.data(), info.data.size());
  return y;
}

State load_state(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  State state;
  state.metadata = file.metadata();
  for (const TensorInfo& info : file.tensors())
    state.tensors.emplace(info.name, from_file_layout(read_tensor(file, info)));
  return state;
}

void save_state(const std::string& path, const State& state) {
  NoGrad no_grad;
  std::vector<Tensor> kept;
  std::vector<TensorBytes> tensors;
  for (const auto& [name, tensor] : state.tensors) {
    kept.push_back(to_file_layout(tensor.to(Device{})));
    const Tensor& t = kept.back();
    const size_t bytes = size_t(t.numel()) * size_of(t.dtype());
    tensors.push_back({name,
                       std::string(file_name_of(t.dtype())),
                       t.shape(),
                       {static_cast<const std::byte*>(t.raw()), bytes}});
  }
  write_safetensors(path, std::move(tensors), state.metadata);
}

}  // namespace apprentice
