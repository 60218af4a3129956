#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/augment_images.cuh>

namespace apprentice {
namespace {

using kernels::AugmentImages;

struct Problem {
  int64_t n, h, w;
  int32_t max_shift;
  bool mirror;
};

AugmentImages::Args problem_args(const Problem& p) {
  AugmentImages::Args args;
  args.mean = {0.4f, 0.5f, 0.6f};
  args.deviation = {0.2f, 0.3f, 0.25f};
  args.augmentation = {p.max_shift, p.mirror};
  return args;
}

}  // namespace

KERNEL_TEST_CASE("a batch of changed pictures is that of the CPU, bit for bit") {
  using testing::Both;
  // A part is 1024 pixels: pictures of one, of less and of more.
  const Problem p = GENERATE(Problem{1, 1, 1, 0, false}, Problem{3, 5, 7, 4, true},
                             Problem{4, 8, 8, 2, false}, Problem{20, 32, 32, 4, true},
                             Problem{3, 25, 41, 3, true}, Problem{0, 4, 4, 1, true});
  CAPTURE(p.n, p.h, p.w);
  const int64_t count = 17;
  const std::array<int64_t, 4> set{count, p.h, p.w, 3}, batch{p.n, p.h, p.w, 3};
  const std::array<int64_t, 1> all{count}, two{2}, n{p.n};
  Both<uint8_t> pixels(
      testing::random_bytes<uint8_t>(static_cast<size_t>(count * p.h * p.w * 3), 1));
  Both<int64_t> labels(testing::random_integers<int64_t>(static_cast<size_t>(count), 0, 999, 2));
  Both<int64_t> key({int64_t{0x123456789abcdef}, 77});
  Both<int64_t> ids(testing::random_integers<int64_t>(static_cast<size_t>(p.n), 0, 16, 3));
  Both<float> x(std::vector<float>(static_cast<size_t>(p.n * p.h * p.w * 3), -1.0f));
  Both<int64_t> y(std::vector<int64_t>(static_cast<size_t>(p.n), -1));
  AugmentImages::Args args = problem_args(p);
  args.pixels = pixels.on_host(set), args.labels = labels.on_host(all);
  args.key = key.on_host(two), args.ids = ids.on_host(n);
  args.x = x.on_host(batch), args.y = y.on_host(n);
  kernels::launch<AugmentImages>(args);
  args.pixels = pixels.on_device(set), args.labels = labels.on_device(all);
  args.key = key.on_device(two), args.ids = ids.on_device(n);
  args.x = x.on_device(batch), args.y = y.on_device(n);
  kernels::SIMT_NS::augment_images(args, nullptr);
  CHECK(x.got() == x.host);
  CHECK(y.got() == y.host);
}

}  // namespace apprentice
