#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/error.h>
#include <apprentice/base/shape.h>

namespace apprentice {

struct SafetensorsHeader;

/// The safetensors name of a C++ element type: "F32", "I64", ...
template <class T>
constexpr std::string_view safetensors_dtype();
// clang-format off
template <> constexpr std::string_view safetensors_dtype<float>() { return "F32"; }
template <> constexpr std::string_view safetensors_dtype<double>() { return "F64"; }
template <> constexpr std::string_view safetensors_dtype<int64_t>() { return "I64"; }
template <> constexpr std::string_view safetensors_dtype<int32_t>() { return "I32"; }
template <> constexpr std::string_view safetensors_dtype<uint16_t>() { return "U16"; }
template <> constexpr std::string_view safetensors_dtype<int8_t>() { return "I8"; }
template <> constexpr std::string_view safetensors_dtype<uint8_t>() { return "U8"; }
// clang-format on

/// Bits of one element of a safetensors dtype ("F32": 32, "F4": 4), or 0 if there is no such dtype.
int safetensors_bits(std::string_view dtype);

/// One tensor of a file: `data` lies in the file's own memory, row-major, little-endian, and is not
/// aligned beyond one byte unless the file was written so (write_safetensors aligns by dtype).
struct TensorInfo {
  std::string name;
  std::string dtype;
  Shape shape;
  std::span<const std::byte> data;

  /// A copy of the elements. DtypeError naming the tensor if the dtype is not that of T.
  template <class T>
  std::vector<T> values() const {
    check<DtypeError>(dtype == safetensors_dtype<T>(), "tensor '{}': dtype is {}, expected {}",
                      name, dtype, safetensors_dtype<T>());
    std::vector<T> copy(data.size() / sizeof(T));
    if (!copy.empty()) std::memcpy(copy.data(), data.data(), data.size());
    return copy;
  }
};

/// A safetensors file (https://github.com/huggingface/safetensors), read whole into memory and
/// checked before anything of it is handed out: length of the header, JSON without duplicate keys,
/// known dtypes, shapes that agree with the byte ranges, ranges in the file without overlap or
/// hole. Copies share the memory. Values of the tensors are not looked at.
class SafetensorsFile {
 public:
  /// MissingInput if there is no such file, DamagedFile naming file and tensor for every violation,
  /// IoError if reading fails.
  static SafetensorsFile open(const std::string& path);
  /// The same from memory (copied); `name` stands for the path in errors.
  static SafetensorsFile parse(std::span<const std::byte> bytes, const std::string& name);

  /// Path, or the name given to parse().
  const std::string& name() const { return name_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The value of a metadata key, or `fallback`.
  std::string metadata(const std::string& key, const std::string& fallback = "") const;
  /// In the order of their data.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  /// Null if there is no such tensor.
  const TensorInfo* find(const std::string& name) const;
  /// DamagedFile naming the file and the tensor if there is none such.
  const TensorInfo& get(const std::string& name) const;
  /// Bytes of the whole file.
  size_t bytes() const { return bytes_; }

 private:
  SafetensorsFile(SafetensorsHeader header, std::shared_ptr<Buffer> data, size_t bytes,
                  std::string name);

  std::string name_;
  std::shared_ptr<Buffer> data_;
  size_t bytes_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorInfo> tensors_;
  std::vector<uint32_t> by_name_;  ///< indices of tensors_, sorted by name
};

/// One tensor to write; `data` is somebody else's memory, row-major, of shape.numel() elements.
struct TensorBytes {
  std::string name;
  std::string dtype;
  Shape shape;
  std::span<const std::byte> data;
};
/// The TensorBytes of elements of type T.
template <class T>
TensorBytes tensor_bytes(std::string name, Shape shape, std::span<const T> values) {
  return {std::move(name), std::string(safetensors_dtype<std::remove_const_t<T>>()), shape,
          std::as_bytes(values)};
}

/// The bytes of such a file up to its data: length, JSON padded with blanks to a multiple of 64,
/// with tensors by falling element size, then by name, so that each is aligned to its element;
/// `tensors` is put in that order. Error if a name is taken twice or reserved, or sizes do not
/// agree.
std::string safetensors_header(std::vector<TensorBytes>& tensors,
                               const std::map<std::string, std::string>& metadata);

/// Writes a safetensors file durably (write_file_durably): the file that was there before stays
/// intact until the new one is complete. The same input gives the same bytes. Throws CannotCreate
/// or IoError naming the path, and Error as safetensors_header does.
void write_safetensors(const std::string& path, std::vector<TensorBytes> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace apprentice
