#!/usr/bin/env bash
# Puts the libraries that a build needs into one folder, for machines that can neither install packages nor reach
# a network: run it on a Debian 12, carry the folder, and name it there as APPRENTICE_VENDOR to tools/gpu_check.sh
# (or CMAKE_PREFIX_PATH=DIR/usr to CMake). The machine there brings CMake, a compiler and a libc of 2.36 or later.
#
#   tools/vendor.sh [DIR]     DIR (build-vendor): made anew if it is of an earlier call
set -euo pipefail
dir=$(realpath -m "${1:-build-vendor}")
cd "$(dirname "$0")/.."

if [ -e "$dir" ] && [ ! -f "$dir/made-by-vendor" ]; then
  echo "vendor: $dir exists and is not of an earlier call; name another folder" >&2
  exit 73
fi
if ! { command -v apt-get && command -v dpkg-deb; } >/dev/null; then
  echo 'vendor: needs a Debian system' >&2
  exit 1
fi

# The packages and what they depend on, but for what every compiler brings.
closure() {
  local queue=("$@") package depends
  local -A seen
  while [ ${#queue[@]} -gt 0 ]; do
    package=${queue[0]} queue=("${queue[@]:1}")
    [[ -z ${seen[$package]-} && ! $package =~ ^(libc6|libgcc|libstdc|libgomp|gcc-) ]] || continue
    seen[$package]=1
    mapfile -t depends < <(apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
      --no-enhances "$package" | sed -nE 's/^ *\|?(Pre)?Depends: ([a-z0-9.+-]+)$/\2/p')
    queue+=("${depends[@]}")
  done
  printf '%s\n' "${!seen[@]}"
}

mapfile -t libraries < <(tools/setup.sh --list | grep -E '^lib|-dev$|^catch2$')
mapfile -t packages < <(closure "${libraries[@]}")
rm -rf "$dir"
mkdir -p "$dir/packages"
touch "$dir/made-by-vendor"
(cd "$dir/packages" && apt-get download -qq "${packages[@]}")
for package in "$dir"/packages/*.deb; do dpkg-deb -x "$package" "$dir"; done
rm -rf "$dir/packages" "$dir/usr/share/doc" "$dir/usr/share/man" "$dir/usr/share/icu"
# Debian's old folder beside /usr: one place for all libraries.
if [ -d "$dir/lib" ] && [ ! -L "$dir/lib" ]; then cp -a "$dir/lib" "$dir/usr/" && rm -rf "${dir:?}/lib"; fi
echo "vendor: $(printf '%s ' "${packages[@]}")in $dir, $(du -sm "$dir" | cut -f1) MiB"
