#include <fmt/core.h>

#include <dlfcn.h>

#include <apprentice/kernels/dense/vendor/shared_library_internal.h>

namespace apprentice::kernels::dense {
namespace {

std::string version_text(size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace

SharedLibrary::SharedLibrary(std::initializer_list<std::string> names) {
  for (const std::string& name : names) {
    if (name.empty()) continue;
    handle_ = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_) {
      problem_.clear();
      return;
    }
    const char* reason = ::dlerror();
    if (problem_.empty()) problem_ = reason ? reason : name + ": cannot be loaded";
  }
}

void* SharedLibrary::address(const char* name) {
  if (!handle_) return nullptr;
  void* found = ::dlsym(handle_, name);
  if (!found && problem_.empty()) problem_ = fmt::format("it has no function {}", name);
  Dl_info info;
  if (found && path_.empty() && ::dladdr(found, &info)) path_ = info.dli_fname;
  return found;
}

std::string library_status(size_t built_with, const std::string& problem) {
  return fmt::format("built with {}; {}", version_text(built_with), problem);
}

std::string library_status(size_t built_with, size_t loaded, const std::string& path) {
  return fmt::format("built with {}, loaded {} from {}", version_text(built_with),
                     version_text(loaded), path);
}

}  // namespace apprentice::kernels::dense
