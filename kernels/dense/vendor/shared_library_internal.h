#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>

namespace apprentice::kernels::dense {

/// A vendor's library, loaded when it is first asked for, so that a program without a GPU neither
/// needs it nor pays for it. It stays loaded for as long as the process runs.
class SharedLibrary {
 public:
  /// The first of `names` that the loader finds; empty ones are passed over.
  explicit SharedLibrary(std::initializer_list<std::string> names);

  /// Why it cannot be used, or "".
  const std::string& problem() const { return problem_; }
  /// Sets `function` to the library's of that name. One that is not there becomes the problem.
  template <class F>
  void bind(F*& function, const char* name) {
    function = reinterpret_cast<F*>(address(name));
  }
  /// The file that it was loaded from.
  const std::string& path() const { return path_; }

 private:
  void* address(const char* name);

  void* handle_ = nullptr;
  std::string problem_, path_;
};

/// For people, of a library with versions like 90807: "built with 9.8.7; <problem>" or
/// "built with 9.8.7, loaded 9.9.0 from <path>".
std::string library_status(size_t built_with, const std::string& problem);
std::string library_status(size_t built_with, size_t loaded, const std::string& path);

}  // namespace apprentice::kernels::dense
