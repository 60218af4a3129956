#include <omp.h>

#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include <apprentice/base/cpu.h>
#include <apprentice/base/runtime.h>
#include <apprentice/base/unit.h>
#include <apprentice/data/find.h>
#include <apprentice/dense/vendor_libraries.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/models/registry.h>
#include <apprentice/tools/common_options.h>
#include <apprentice/tools/verb.h>

namespace apprentice {
void load_dense_units();
}

namespace apprentice::tools {
namespace {

using Json = nlohmann::ordered_json;

Json findings(const CommonOptions& common) {
  const CpuFeatures& cpu = cpu_features();
  Json roots = Json::array();
  for (const auto& root : data::search_roots(common.data_roots))
    roots.push_back({{"root", root.string()},
                     {"data", data::datasets_under(root)},
                     {"models", data::models_under(root)}});
  load_dense_units();
  return {{"version", APPRENTICE_VERSION},
          {"cpu", cpu_name()},
          {"threads", omp_get_max_threads()},
          {"avx2", cpu.avx2},
          {"avx512", cpu.avx512},
          {"avx512_vnni", cpu.avx512_vnni},
          {"cuda", APPRENTICE_CUDA_STATUS},
          {"cudnn", kernels::dense::cudnn_status()},
          {"cublaslt", kernels::dense::cublaslt_status()},
          {"cuda_devices", device_status(Device::Kind::cuda)},
          {"data_roots", roots},
          {"models", models().names()},
          {"datasets", data::datasets().names()},
          {"kernels", kernels::kernel_names()}};
}

std::string names(const Json& list) {
  return list.empty() ? "none" : join(list.get<std::vector<std::string>>(), ", ");
}

void print(const Json& f) {
  const auto yes = [&f](const char* key) { return f[key].get<bool>() ? "yes" : "no"; };
  std::printf("apprentice %s\n", f["version"].get<std::string>().c_str());
  std::printf("CPU        %s, %d threads\n", f["cpu"].get<std::string>().c_str(),
              f["threads"].get<int>());
  std::printf("           AVX2 %s, AVX-512 %s, AVX-512-VNNI %s\n", yes("avx2"), yes("avx512"),
              yes("avx512_vnni"));
  std::printf("CUDA       %s\n           %s\n", f["cuda"].get<std::string>().c_str(),
              f["cuda_devices"].get<std::string>().c_str());
  std::printf("cuDNN      %s\n", f["cudnn"].get<std::string>().c_str());
  std::printf("cuBLASLt   %s\n", f["cublaslt"].get<std::string>().c_str());
  for (const Json& root : f["data_roots"])
    std::printf("data root  %s: data sets %s; models %s\n", root["root"].get<std::string>().c_str(),
                names(root["data"]).c_str(), names(root["models"]).c_str());
  for (const char* list : {"models", "datasets"})
    std::printf("%-10s %s\n", list, join(f[list].get<std::vector<std::string>>(), ", ").c_str());
  std::printf("kernels    %zu\n", f["kernels"].size());
  for (const Json& kernel : f["kernels"])
    std::printf("           %s\n", kernel.get<std::string>().c_str());
}

int run(const CommonOptions& common) {
  common.apply();
  const Json found = findings(common);
  if (common.json) {
    std::printf("%s\n", found.dump().c_str());
  } else {
    print(found);
  }
  return 0;
}

}  // namespace
}  // namespace apprentice::tools

APPRENTICE_UNIT(doctor) {
  using namespace apprentice::tools;
  verbs().add("doctor",
              {"Show the machine, what is built in, and what was found", [](CLI::App& app) {
                 auto common = std::make_shared<CommonOptions>();
                 common->add_to(app);
                 return [common] { return run(*common); };
               }});
}
