#include <string>
#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/base/safetensors.h>
#include <support/temp_folder.h>
#include <support/throws.h>
#include <catch2/catch.hpp>

using namespace apprentice;
using test::throws;

namespace {

std::string length_field(uint64_t length) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += char(length >> (8 * i) & 0xff);
  return text;
}

std::string file_of(const std::string& json, size_t data_bytes) {
  return length_field(json.size()) + json + std::string(data_bytes, '\1');
}

/// One tensor "w" with the given fields.
std::string tensor(const std::string& fields) { return "{\"w\":{" + fields + "}}"; }

std::string refusal(const std::string& file, const std::string& part) {
  return throws<DamagedFile>(
      [&] { SafetensorsFile::parse(std::as_bytes(std::span(file)), "bad.safetensors"); },
      "bad.safetensors: ", part);
}

struct Case {
  std::string json;
  size_t data_bytes;
  std::string message;  ///< a part of what the error must say
};

const std::string kGood = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";

std::string many_tensors(int count) {
  std::string json = "{";
  for (int i = 0; i < count; ++i)
    json += (i ? ",\"" : "\"") + std::to_string(i) +
            R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  return json + "}";
}

const std::vector<Case>& cases() {
  static const std::string nested(40, '['), huge = std::to_string(UINT64_MAX),
                                            beyond_i64 = "9223372036854775808";
  static const std::vector<Case> all{
      // JSON
      {"", 0, "does not begin with '{'"},
      {" {}", 0, "does not begin with '{'"},
      {"[]", 0, "does not begin with '{'"},
      {"{", 0, "no valid JSON"},
      {"{}}", 0, "no valid JSON"},
      {"{} x", 0, "no valid JSON"},
      {"{\"w\"}", 0, "no valid JSON"},
      {"{\"w\":}", 0, "no valid JSON"},
      {std::string("{}\0\0", 4), 0, "no valid JSON"},
      {"{\"\xc3\x28\":{" + kGood + "}}", 8, "no valid JSON"},
      {"{\"w\":{\"dtype\":" + nested + "}}", 0, "tensor 'w': dtype is a list, expected a text"},
      {"{\"w\":{\"shape\":" + nested + "}}", 0, "tensor 'w': shape is a list"},
      // Names
      {"{\"\":{" + kGood + "}}", 8, "a tensor's name has 0 bytes, expected 1 to 512"},
      {"{\"" + std::string(513, 'n') + "\":{" + kGood + "}}", 8, "a tensor's name has 513 bytes"},
      {"{\"a\\u0000b\":{" + kGood + "}}", 8, "control characters"},
      {"{\"a\\u001b[2Jb\":{" + kGood + "}}", 8, "control characters"},
      // Duplicates
      {"{\"w\":{" + kGood + "},\"w\":{" + kGood + "}}", 8, "tensor 'w' stands twice"},
      {"{\"w\":{" + kGood + "},\"\\u0077\":{" + kGood + "}}", 8, "tensor 'w' stands twice"},
      {tensor(R"("dtype":"F32","dtype":"F32")"), 0, "tensor 'w': key 'dtype' stands twice"},
      {tensor(kGood + R"(,"shape":[2])"), 8, "tensor 'w': key 'shape' stands twice"},
      {R"({"__metadata__":{"a":"1","a":"1"}})", 0, "metadata key 'a' stands twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, "'__metadata__' stands twice"},
      // Metadata
      {R"({"__metadata__":{"a":1}})", 0, "metadata key 'a' is 1, expected a text"},
      {R"({"__metadata__":{"a":null}})", 0, "metadata key 'a' is null, expected a text"},
      {R"({"__metadata__":{"a":{}}})", 0, "metadata key 'a' is an object, expected a text"},
      {R"({"__metadata__":"a"})", 0, "'__metadata__' is a text, expected an object"},
      // Fields
      {"{\"w\":5}", 0, "tensor 'w' is 5, expected an object"},
      {"{\"w\":true}", 0, "tensor 'w' is a boolean, expected an object"},
      {"{\"w\":[]}", 0, "tensor 'w' is a list, expected an object"},
      {"{\"w\":{}}", 0, "tensor 'w': no dtype"},
      {tensor(R"("shape":[2],"data_offsets":[0,8])"), 8, "tensor 'w': no dtype"},
      {tensor(R"("dtype":"F32","data_offsets":[0,8])"), 8, "tensor 'w': no shape"},
      {tensor(R"("dtype":"F32","shape":[2])"), 8, "tensor 'w': no data_offsets"},
      {tensor(kGood + R"(,"strides":[1])"), 8, "tensor 'w': unknown key 'strides'"},
      // Dtypes
      {tensor(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])"), 8, "unknown dtype 'F31'"},
      {tensor(R"("dtype":"f32","shape":[2],"data_offsets":[0,8])"), 8, "unknown dtype 'f32'"},
      {tensor(R"("dtype":"","shape":[2],"data_offsets":[0,8])"), 8, "unknown dtype ''"},
      {tensor(R"("dtype":4,"shape":[2],"data_offsets":[0,8])"), 8, "dtype is 4, expected a text"},
      {tensor(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])"), 2, "no whole number of bytes"},
      // Shapes
      {tensor(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"), 8, "shape is 2, expected a list"},
      {tensor(R"("dtype":"F32","shape":"2","data_offsets":[0,8])"), 8, "shape is a text"},
      {tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), 8, "shape is -2"},
      {tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), 8, "shape is 2.0"},
      {tensor(R"("dtype":"F32","shape":[2e0],"data_offsets":[0,8])"), 8, "shape is 2e0"},
      {tensor(R"("dtype":"F32","shape":["2"],"data_offsets":[0,8])"), 8, "shape is a text"},
      {tensor(R"("dtype":"F32","shape":[{}],"data_offsets":[0,8])"), 8, "shape is an object"},
      {tensor(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])"), 8,
       "more than 8 axes"},
      {tensor(R"("dtype":"F32","shape":[)" + beyond_i64 + R"(],"data_offsets":[0,8])"), 8,
       "size 9223372036854775808 of an axis is too large"},
      {tensor(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8])"), 8,
       "shape is 99999999999999999999"},
      {tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0,
       "shape [4294967296, 4294967296] is too large"},
      {tensor(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])"), 0,
       "is too large"},
      {tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"), 8,
       "data_offsets [0, 8] hold 8 bytes, but F32 [3] takes 12"},
      {tensor(R"("dtype":"F64","shape":[2],"data_offsets":[0,8])"), 8, "F64 [2] takes 16"},
      {tensor(R"("dtype":"F32","shape":[],"data_offsets":[0,8])"), 8, "F32 [] takes 4"},
      // Offsets
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8])"), 8, "data_offsets has 1 numbers"},
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"), 8, "has 3 numbers"},
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[])"), 8, "has 0 numbers"},
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"), 8, "data_offsets is -8"},
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), 8, "[8, 0] lie outside"},
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 7,
       "[0, 8] lie outside of the 7 bytes of data"},
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,)" + huge + "]"), 8, "lie outside"},
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[)" + huge + ",7]"), 8, "lie outside"},
      // Layout
      {tensor(kGood), 9, "9 bytes of data, but the tensors take 8"},
      {tensor(R"("dtype":"F32","shape":[2],"data_offsets":[1,9])"), 9,
       "tensor 'w': 1 unused bytes before its data"},
      {"{\"a\":{" + kGood + "},\"b\":{" + kGood + "}}", 8, "overlap those of another tensor by 8"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
       R"("b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
       7, "tensor 'b': data overlap those of another tensor by 1"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})",
       5, "tensor 'b': 1 unused bytes"},
      {"{}", 1, "1 bytes of data, but the tensors take 0"},
      // Caps
      {many_tensors(65537), 0, "more than 65536 tensors"},
  };
  return all;
}

}  // namespace

TEST_CASE("every malformed header is refused with the file, the tensor and what was expected") {
  REQUIRE(cases().size() >= 60);
  for (const Case& c : cases()) {
    INFO(c.json.substr(0, 200));
    CHECK(refusal(file_of(c.json, c.data_bytes), c.message) == "");
  }
}

TEST_CASE("the table's own good header is taken, so that each case fails for its own fault") {
  const std::string good = file_of(tensor(kGood), 8), most = file_of(many_tensors(65536), 0);
  CHECK_NOTHROW(SafetensorsFile::parse(std::as_bytes(std::span(good)), "good"));
  CHECK_NOTHROW(SafetensorsFile::parse(std::as_bytes(std::span(most)), "good"));
}

TEST_CASE("a length field that does not fit the file is refused before anything is read") {
  CHECK(refusal("", "0 bytes are too few") == "");
  CHECK(refusal("1234567", "7 bytes are too few") == "");
  CHECK(refusal(length_field(0), "does not begin with '{'") == "");
  CHECK(refusal(length_field(3) + "{}", "header of 3 bytes, but the file has only 10") == "");
  CHECK(refusal(length_field(uint64_t(16) << 20) + "{}", "it is cut off") == "");
  CHECK(refusal(length_field((uint64_t(16) << 20) + 1), "expected at most 16777216") == "");
  CHECK(refusal(length_field(UINT64_MAX), "header of 18446744073709551615 bytes") == "");
  CHECK(refusal("PK\3\4 not a safetensors file", "is it a safetensors file?") == "");
}

TEST_CASE("open refuses what parse refuses, by the file's path") {
  const test::TempFolder folder;
  const std::string path = folder / "bad.safetensors";
  for (const Case& c : cases()) {
    INFO(c.json.substr(0, 200));
    write_file_durably(path, file_of(c.json, c.data_bytes));
    CHECK(throws<DamagedFile>([&] { SafetensorsFile::open(path); }, path, c.message) == "");
  }
  write_file_durably(path, "123");
  CHECK(throws<DamagedFile>([&] { SafetensorsFile::open(path); }, path, "3 bytes are too few") ==
        "");
  CHECK(throws<MissingInput>([&] { SafetensorsFile::open(folder / "none"); }, "none") == "");
}
