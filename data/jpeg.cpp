#include <apprentice/data/jpeg.h>

#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

#include <apprentice/base/error.h>

namespace apprentice::data {
namespace {

constexpr long kMaxDecodeBytes = 1L << 30;

}  // namespace

/// libjpeg reports errors by a call that must not return: it jumps back to the function that called
/// setjmp. Those functions hold nothing with a destructor, so the jump skips none.
struct JpegDecoder::Impl {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf back{};
  char message[JMSG_LENGTH_MAX]{};

  static Impl& of(j_common_ptr info) { return *static_cast<Impl*>(info->client_data); }

  [[noreturn]] static void fail(j_common_ptr info) {
    (*info->err->format_message)(info, of(info).message);
    std::longjmp(of(info).back, 1);
  }
  static void on_message(j_common_ptr info, int level) {
    if (level < 0) fail(info);
  }
  static void on_progress(j_common_ptr info) {
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxJpegScans) return;
    std::snprintf(of(info).message, sizeof(of(info).message), "more than %d scans", kMaxJpegScans);
    std::longjmp(of(info).back, 1);
  }

  bool read_header(const uint8_t* bytes, size_t count) {
    if (setjmp(back) != 0) return false;
    jpeg_mem_src(&info, bytes, count);
    jpeg_read_header(&info, TRUE);
    return true;
  }

  bool read_pixels(uint8_t* rgb) {
    if (setjmp(back) != 0) return false;
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = rgb + size_t(info.output_scanline) * info.output_width * 3;
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    return true;
  }

  /// Throws what libjpeg said; the decoder is ready for the next picture.
  void require(bool ok) {
    if (ok) return;
    jpeg_abort_decompress(&info);
    throw DamagedFile(message);
  }

  ImageSize header(std::span<const uint8_t> bytes) {
    require(read_header(bytes.data(), bytes.size()));
    const ImageSize size{info.image_height, info.image_width};
    if (size.height > kMaxImageSide || size.width > kMaxImageSide ||
        size.height * size.width > kMaxImagePixels) {
      jpeg_abort_decompress(&info);
      throw DamagedFile(fmt::format("{}x{} pixels, at most {} a side and {} in all are read",
                                    size.width, size.height, kMaxImageSide, kMaxImagePixels));
    }
    return size;
  }
};

JpegDecoder::JpegDecoder() : impl_(new Impl) {
  impl_->info.err = jpeg_std_error(&impl_->errors);
  impl_->errors.error_exit = Impl::fail;
  impl_->errors.emit_message = Impl::on_message;
  impl_->info.client_data = impl_;
  const bool made = [](Impl* impl) {
    if (setjmp(impl->back) != 0) return false;
    jpeg_create_decompress(&impl->info);
    return true;
  }(impl_);
  if (!made) {
    const std::string message = impl_->message;
    delete impl_;
    throw Error("libjpeg: " + message);
  }
  impl_->info.mem->max_memory_to_use = kMaxDecodeBytes;
  impl_->progress.progress_monitor = Impl::on_progress;
  impl_->info.progress = &impl_->progress;
}

JpegDecoder::~JpegDecoder() {
  jpeg_destroy_decompress(&impl_->info);
  delete impl_;
}

ImageSize JpegDecoder::size(std::span<const uint8_t> bytes) {
  const ImageSize size = impl_->header(bytes);
  jpeg_abort_decompress(&impl_->info);
  return size;
}

void JpegDecoder::decode(std::span<const uint8_t> bytes, ImageSize size, uint8_t* rgb) {
  const ImageSize found = impl_->header(bytes);
  if (found != size) {
    jpeg_abort_decompress(&impl_->info);
    throw DamagedFile(fmt::format("{}x{} pixels, expected {}x{}", found.width, found.height,
                                  size.width, size.height));
  }
  impl_->require(impl_->read_pixels(rgb));
}

}  // namespace apprentice::data
