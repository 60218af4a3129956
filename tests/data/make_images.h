#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <jpeglib.h>

#include <apprentice/base/error.h>
#include <apprentice/base/rng.h>
#include <apprentice/data/jpeg.h>

namespace apprentice::test {

using Bytes = std::vector<uint8_t>;

/// How a JPEG is written; `components` 3 (RGB) or 1 (grey).
struct JpegOptions {
  int components = 3, quality = 90;
  bool one_scan_a_component = false;
};

inline Bytes encode_jpeg(int width, int height, const Bytes& pixels, JpegOptions options = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = JDIMENSION(width);
  info.image_height = JDIMENSION(height);
  info.input_components = options.components;
  info.in_color_space = options.components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, options.quality, TRUE);
  const jpeg_scan_info scans[3] = {
      {1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
  if (options.one_scan_a_component) {
    info.scan_info = scans;
    info.num_scans = 3;
  }
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPROW>(pixels.data()) +
                size_t(info.next_scanline) * size_t(width * options.components);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  Bytes bytes(memory, memory + size);
  jpeg_destroy_compress(&info);
  std::free(memory);
  return bytes;
}

/// Smooth random picture number `id`, as a JPEG.
inline Bytes random_jpeg(uint64_t id, int width = 16, int height = 12, JpegOptions options = {}) {
  Rng rng(7, RngPurpose::test, 0, id);
  Bytes pixels(size_t(width * height * options.components));
  uint32_t value = rng.below(256);
  for (uint8_t& pixel : pixels) {
    value = (value + rng.below(9)) % 256;
    pixel = uint8_t(value);
  }
  return encode_jpeg(width, height, pixels, options);
}

inline Bytes decoded(const Bytes& jpeg, int width = 16, int height = 12) {
  Bytes pixels(size_t(width * height * 3));
  data::JpegDecoder().decode(jpeg, {height, width}, pixels.data());
  return pixels;
}

using Members = std::vector<std::pair<std::string, Bytes>>;

/// Writes a tar archive; its compression is told by the ending of the name.
inline void write_tar(const std::string& path, const Members& members) {
  archive* out = archive_write_new();
  if (path.ends_with(".gz")) archive_write_add_filter_gzip(out);
  if (path.ends_with(".zst")) archive_write_add_filter_zstd(out);
  archive_write_set_format_ustar(out);
  check(archive_write_open_filename(out, path.c_str()) == ARCHIVE_OK, "{} not written", path);
  for (const auto& [name, bytes] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, int64_t(bytes.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(out, entry);
    archive_write_data(out, bytes.data(), bytes.size());
    archive_entry_free(entry);
  }
  archive_write_close(out);
  archive_write_free(out);
}

inline void write_bytes(const std::string& path, const Bytes& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), int64_t(bytes.size()));
}

inline Bytes read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// `count` pictures over the classes owl, ant, fox in turn: <class>/<number>.jpg.
inline Members class_members(int count) {
  const char* classes[] = {"owl", "ant", "fox"};
  Members members;
  for (int i = 0; i < count; ++i) {
    members.emplace_back(fmt::format("{}/{:04}.jpg", classes[i % 3], i / 3),
                         random_jpeg(uint64_t(i)));
  }
  return members;
}

}  // namespace apprentice::test
