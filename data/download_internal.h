#pragma once

#include <filesystem>
#include <string>

namespace apprentice::data {

/// A published archive of a data set.
struct RemoteArchive {
  std::string url;
  std::string md5;  ///< of the archive, 32 hexadecimal digits
};

/// Downloads `remote` by the program curl, checks its sum and unpacks its regular files whose names
/// end with `ending` flat into the folder `to`, which is created. A file appears in `to` whole or
/// not at all. IoError saying what failed: curl is missing, or curl's own message; DamagedFile if
/// the sum is another; CannotCreate if `to` cannot be written.
void download_archive(const RemoteArchive& remote, const std::string& ending,
                      const std::filesystem::path& to);

}  // namespace apprentice::data
