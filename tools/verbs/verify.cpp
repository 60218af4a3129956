#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <apprentice/base/unit.h>
#include <apprentice/data/loader.h>
#include <apprentice/quant/verify.h>
#include <apprentice/tools/data_options.h>
#include <apprentice/tools/exit_code.h>
#include <apprentice/tools/model_options.h>
#include <apprentice/tools/verb.h>

namespace apprentice::tools {
namespace {

struct Options {
  CommonOptions common;
  DeviceOption device;
  ModelArgument model;
  DataOptions data;
  std::string packed;
  int64_t batch = 250;
};

/// --kernel and --device speak of the packed side only: the fake-quantized one stays as training on
/// the CPU runs it.
quant::VerifyReport compare(const Options& o) {
  CommonOptions process = o.common;
  process.kernel.clear();
  process.require_kernel = false;
  process.apply();
  const Device device = o.device.get();
  const quant::LoadedModel loaded = o.model.load(o.common);
  const auto set = std::make_shared<data::ImageSet>(o.data.load(o.common));
  data::LoaderOptions loading;
  loading.batch = o.batch;
  data::Loader loader(set, loading);
  loader.start(0);
  const auto next = [&loader] {
    auto batch = loader.next();
    return batch ? batch->x : Tensor();
  };
  return quant::verify(
      *loaded.model, o.packed, next,
      {.kernel = o.common.kernel, .require_kernel = o.common.require_kernel, .device = device});
}

void print(const quant::VerifyReport& r) {
  std::printf(
      "%s: %lld layers, %lld %s equal; %lld of %lld predictions equal; largest logit "
      "difference %g\n",
      r.passed ? "verified" : "DIFFERENT", (long long)r.layers, (long long)r.integers,
      r.weights_only ? "codes and scales" : "integers", (long long)r.equal_predictions,
      (long long)r.images, r.max_logit_error);
  if (!r.difference.empty()) std::printf("first difference: %s\n", r.difference.c_str());
}

int run(const Options& o) {
  o.common.check_kernel();
  const quant::VerifyReport r = compare(o);
  if (o.common.json) {
    const nlohmann::ordered_json report{{"passed", r.passed},
                                        {"weights_only", r.weights_only},
                                        {"images", r.images},
                                        {"layers", r.layers},
                                        {"integers", r.integers},
                                        {"equal_predictions", r.equal_predictions},
                                        {"max_logit_error", r.max_logit_error},
                                        {"layer", r.layer},
                                        {"difference", r.difference}};
    std::printf("%s\n", report.dump().c_str());
  } else {
    print(r);
  }
  return r.passed ? kOk : kCheckFailed;
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(verify) {
  using namespace apprentice::tools;
  verbs().add("verify", {"Compare a quantized model with its packed file, integer by integer",
                         [](CLI::App& app) {
                           auto o = std::make_shared<Options>();
                           o->model.add_to(app);
                           app.add_option("packed", o->packed, "Packed file")->required();
                           o->data.add_to(app);
                           app.add_option("--batch", o->batch, "Images a batch")
                               ->check(CLI::PositiveNumber)
                               ->capture_default_str();
                           o->device.add_to(app);
                           o->common.add_to(app);
                           return [o] { return run(*o); };
                         }});
}
