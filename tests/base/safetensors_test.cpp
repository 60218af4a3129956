#include <csignal>
#include <cstdint>

#include <sys/resource.h>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/base/safetensors.h>
#include <support/temp_folder.h>
#include <support/throws.h>
#include <catch2/catch.hpp>

using namespace apprentice;
using test::TempFolder;
using test::throws;

namespace {

const std::vector<float> kFloats{1.5f, -2, 0, 3e38f, -0.0f, 1e-45f};
const std::vector<uint8_t> kBytes{1, 2, 255};
const std::vector<int64_t> kLong{INT64_MIN};

std::vector<TensorBytes> some_tensors() {
  return {tensor_bytes<uint8_t>("codes", {3}, kBytes), tensor_bytes<float>("w", {2, 3}, kFloats),
          tensor_bytes<int64_t>("count", {}, kLong), tensor_bytes<float>("none", {0, 7}, {})};
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

TEST_CASE("a safetensors file is read back as it was written") {
  const TempFolder folder;
  const std::string path = folder / "x.safetensors";
  write_safetensors(path, some_tensors(), {{"arch", "resnet20"}, {"quote", "\"\\\n\u00e9"}});
  const auto file = SafetensorsFile::open(path);
  CHECK(file.name() == path);
  CHECK(file.bytes() == file_size(path));
  CHECK(file.metadata().size() == 2);
  CHECK(file.metadata("arch") == "resnet20");
  CHECK(file.metadata("quote") == "\"\\\n\u00e9");
  CHECK(file.metadata("absent", "else") == "else");
  REQUIRE(file.tensors().size() == 4);
  CHECK(file.get("w").shape == Shape{2, 3});
  CHECK(file.get("w").values<float>() == kFloats);
  CHECK(std::signbit(file.get("w").values<float>()[4]));
  CHECK(file.get("codes").values<uint8_t>() == kBytes);
  CHECK(file.get("count").shape == Shape{});
  CHECK(file.get("count").values<int64_t>() == kLong);
  CHECK(file.get("none").shape == Shape{0, 7});
  CHECK(file.get("none").values<float>().empty());
}

TEST_CASE("the data of a written file lie at 64 bytes and each tensor at its element size") {
  auto tensors = some_tensors();
  const std::string header = safetensors_header(tensors, {{"a", "b"}});
  CHECK(header.size() % 64 == 0);
  CHECK(header[8] == '{');
  size_t at = 0;
  for (const TensorBytes& t : tensors) {
    CAPTURE(t.name);
    CHECK(at % size_t(safetensors_bits(t.dtype) / 8) == 0);
    at += t.data.size();
  }
  std::string text = header;
  for (const TensorBytes& t : tensors)
    text.append(reinterpret_cast<const char*>(t.data.data()), t.data.size());
  const auto file = SafetensorsFile::parse(bytes_of(text), "memory");
  CHECK(reinterpret_cast<uintptr_t>(file.tensors().front().data.data()) % 64 == 0);
}

TEST_CASE("the bytes of a file do not depend on the order in which tensors are given") {
  auto forth = some_tensors(), back = some_tensors();
  std::reverse(back.begin(), back.end());
  CHECK(safetensors_header(forth, {{"a", "b"}}) == safetensors_header(back, {{"a", "b"}}));
}

TEST_CASE("a file by another writer is read: header of any length, any dtype, no padding") {
  const std::string json =
      R"({"b":{"dtype":"BF16","shape":[1],"data_offsets":[1,3]},)"
      R"("__metadata__":{"format":"pt"},"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}  )";
  std::string text(8, '\0');
  text[0] = char(json.size());
  text += json + "\x12\x34\x56";
  const auto file = SafetensorsFile::parse(bytes_of(text), "memory");
  REQUIRE(file.tensors().size() == 2);
  CHECK(file.tensors()[0].name == "a");
  CHECK(file.tensors()[0].data[0] == std::byte(0x12));
  CHECK(file.get("b").data[1] == std::byte(0x56));
  CHECK(file.metadata("format") == "pt");
  CHECK(throws<DtypeError>([&] { file.get("b").values<float>(); }, "'b'", "BF16", "F32") == "");
}

TEST_CASE("the goldens of the tree can be read, with all their cases") {
  const auto file = SafetensorsFile::open(APPRENTICE_TEST_GOLDEN "/ops.safetensors");
  CHECK(file.metadata("note.conv_basic") == "stride 1 padding 1 dilation 1 groups 1");
  CHECK(file.tensors().size() > 300);
  for (const TensorInfo& t : file.tensors()) {
    CAPTURE(t.name);
    CHECK(file.find(t.name) == &t);
    CHECK(t.data.size() * 8 == size_t(t.shape.numel()) * size_t(safetensors_bits(t.dtype)));
  }
}

TEST_CASE("a tensor that is not there is named with its file") {
  const std::string empty("\2\0\0\0\0\0\0\0{}", 10);
  const auto file = SafetensorsFile::parse(bytes_of(empty), "model.safetensors");
  CHECK(file.tensors().empty());
  CHECK(file.find("w") == nullptr);
  CHECK(throws<DamagedFile>([&] { file.get("w"); }, "model.safetensors", "no tensor 'w'") == "");
}

TEST_CASE("a copy outlives the file it was made from") {
  auto tensors = some_tensors();
  const TempFolder folder;
  write_safetensors(folder / "x", tensors);
  auto file = std::make_unique<SafetensorsFile>(SafetensorsFile::open(folder / "x"));
  const SafetensorsFile copy = *file;
  file.reset();
  CHECK(copy.get("w").values<float>() == kFloats);
}

TEST_CASE("tensors that cannot be written are refused before anything is") {
  const TempFolder folder;
  const auto write = [&](TensorBytes t) {
    write_safetensors(folder / "x", {t, tensor_bytes<float>("w", {6}, kFloats)});
  };
  const auto floats = std::as_bytes(std::span(kFloats));
  CHECK(throws<Error>([&] { write({"w", "F32", {6}, floats}); }, "two tensors", "'w'") == "");
  CHECK(throws<Error>([&] { write({"v", "F32", {5}, floats}); }, "'v'", "[5]", "24 bytes") == "");
  CHECK(throws<Error>([&] { write({"v", "F31", {6}, floats}); }, "'v'", "F31") == "");
  CHECK(throws<Error>([&] { write({"", "F32", {6}, floats}); }, "no name") == "");
  CHECK(throws<Error>([&] { write({"__metadata__", "F32", {6}, floats}); }, "no name") == "");
  CHECK(folder.names().empty());
}

TEST_CASE("a disk that is full while a model is saved leaves the model before it") {
  const TempFolder folder;
  const std::string path = folder / "model.safetensors";
  write_safetensors(path, some_tensors());
  const std::string before = read_file(path);
  rlimit usual{};
  ::getrlimit(RLIMIT_FSIZE, &usual);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  // Fails in the header, at its end, and in the data.
  for (const rlim_t limit : {0, 100, 4096, 8000}) {
    const rlimit small{limit, usual.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const std::vector<float> large(3000, 1.0f);
    const std::string outcome = throws<IoError>(
        [&] { write_safetensors(path, {tensor_bytes<float>("w", {3000}, large)}); }, path);
    ::setrlimit(RLIMIT_FSIZE, &usual);
    CAPTURE(limit);
    CHECK(outcome == "");
    CHECK(read_file(path) == before);
    CHECK(folder.names() == std::vector<std::string>{"model.safetensors"});
  }
  std::signal(SIGXFSZ, handler);
}
