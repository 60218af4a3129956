#!/usr/bin/env bash
# Proves the CUDA kernels on the GPU of this machine: builds their tests for it, runs them, runs them under
# compute-sanitizer where that is installed, and prints one table.
#
#   tools/gpu_check.sh [OUT]     OUT (build-gpu/check): gets gpu_check.md, gpu_check.json and the logs
#
# GPU_TESTS names a gpu_tests binary built elsewhere, for machines that lack a compiler or a library.
# Exit code 0: all passed; 1: something failed; 77: no CUDA device.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

out=${1:-build-gpu/check}
tests=${GPU_TESTS-}
mkdir -p "$out" || exit 73
rows=() json=() failures=0

# row WHAT RESULT SECONDS
row() {
  rows+=("| $1 | $2 | $3 |")
  json+=("{\"what\":\"$1\",\"result\":\"$2\",\"seconds\":$3}")
}

# step WHAT LOG COMMAND...: runs it and notes how it ended.
step() {
  local what=$1 log=$out/$2 begin=$SECONDS result=passed
  shift 2
  "$@" >"$log" 2>&1 || { result="FAILED ($?)"; failures=$((failures + 1)); tail -n 30 "$log"; }
  row "$what" "$result" "$((SECONDS - begin))"
  [ "$result" = passed ]
}

if ! device=$(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader 2>/dev/null | head -n 1) ||
  [ -z "$device" ]; then
  echo 'gpu_check: no CUDA device (nvidia-smi finds none); nothing was checked' >&2
  exit 77
fi
capability=${device##*, }
architecture=${capability/./}-real
[ "$capability" = 9.0 ] && architecture=90a-real

build_tests() {
  cmake -S . -B build-gpu -G Ninja -DCMAKE_BUILD_TYPE=Release -DAPPRENTICE_CUDA=ON -DAPPRENTICE_ENGINE_ONLY=ON \
    -DAPPRENTICE_TESTS=ON -DAPPRENTICE_INSTALL=OFF "-DCMAKE_CUDA_ARCHITECTURES=$architecture" &&
    cmake --build build-gpu --target gpu_tests
}

if [ -z "$tests" ]; then
  tests=build-gpu/tests/simt/gpu_tests
  step "build for $architecture" build.log build_tests
fi
if [ -x "$tests" ]; then
  step 'kernel cases' cases.log "$tests"
  if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
      step "kernel cases, $tool" "$tool.log" compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests"
    done
  else
    row 'compute-sanitizer' 'not installed' 0
  fi
fi

{
  printf '%s, commit %s\n\n| check | result | seconds |\n|---|---|---|\n' "$device" "$(git rev-parse --short HEAD 2>/dev/null)"
  printf '%s\n' "${rows[@]}"
} | tee "$out/gpu_check.md"
printf '{"device":"%s","checks":[%s]}\n' "$device" "$(IFS=,; echo "${json[*]}")" >"$out/gpu_check.json"
[ "$failures" = 0 ]
