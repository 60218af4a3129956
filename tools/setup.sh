#!/usr/bin/env bash
# Installs the system packages that are missing, configures a Release build in build/ and builds the
# program: build/apprentice. Asks nothing; a second call has little to do.
#
#   tools/setup.sh            the program
#   tools/setup.sh --tests    also what tools/test.sh needs
#   tools/setup.sh --all      also what tools/test.sh --all needs
#   tools/setup.sh --list     only names the packages, of Debian, that the program and its tests need
#
# APPRENTICE_CUDA=ON|OFF|AUTO: the CUDA backend; unset, it is built only where a GPU is found.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ cmake ninja-build curl ca-certificates libfmt-dev nlohmann-json3-dev libdnnl-dev libjpeg-dev libarchive-dev
  libxxhash-dev libtomlplusplus-dev libcli11-dev)
tests=OFF
case "${1-}" in
  '') ;;
  --tests) tests=ON packages+=(catch2 clang-format) ;;
  --all) tests=ON packages+=(catch2 clang-format clang libomp-dev) ;;
  --list) printf '%s\n' "${packages[@]}" catch2; exit ;;
  *) echo "setup: unknown option '$1'; known: --tests, --all, --list" >&2; exit 2 ;;
esac

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The kernels of 64-bit Arm, cross-compiled, are tested in an emulator.
if [ $tests = ON ] && [ "$(uname -m)" = x86_64 ]; then packages+=(g++-aarch64-linux-gnu qemu-user); fi

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Runs a command as root, quietly; its output is shown only if it fails.
as_root() {
  local sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo -n)
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}

install_missing() {
  local missing=() package
  for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "setup: installing ${missing[*]}"
  as_root apt-get update -qq || echo "setup: apt-get update failed; trying with the lists at hand" >&2
  if ! as_root apt-get install -y -qq --no-install-recommends "${missing[@]}"; then
    echo "setup: could not install packages. As root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
}

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
  install_missing
else
  echo "setup: not a Debian system; needed, by their names there: ${packages[*]}" >&2
fi

# A tree that was moved or copied brings a cache of another place along: begin anew.
if [ -f build/CMakeCache.txt ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" build/CMakeCache.txt; then
  rm -rf build
fi
# Tests that were built once stay built.
if grep -qsxF 'APPRENTICE_TESTS:BOOL=ON' build/CMakeCache.txt; then tests=ON; fi
cuda=${APPRENTICE_CUDA-}
if [ -z "$cuda" ]; then
  cuda=OFF
  if nvidia-smi -L >/dev/null 2>&1; then cuda=AUTO; fi
fi
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DAPPRENTICE_TESTS="$tests" -DAPPRENTICE_CUDA="$cuda" >"$log" 2>&1 ||
  { cat "$log" >&2; exit 1; }
cmake --build build --target apprentice_program
echo "setup: the program is build/apprentice"
