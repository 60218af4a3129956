#!/usr/bin/env bash
# Builds everything and runs all tests; the last line counts them. Under 40 minutes on two cores, with CUDA.
#
#   tools/test.sh          g++ Release: the whole suite; ASan and UBSan: base, kernels, packed, core;
#                          64-bit Arm in an emulator: kernels, packed; clang-format
#   tools/test.sh --all    also clang, shared libraries, and TSan for what runs threads of its own
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

all=no packages=--tests
case "${1-}" in
  '') ;;
  --all) all=yes packages=--all ;;
  *) echo "test: unknown option '$1'; known: --all" >&2; exit 2 ;;
esac

# Several tests share the cores: a thread that waits must not spin.
export OMP_WAIT_POLICY=passive
passed=0 failed=0 skipped=0
jobs=$(nproc)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

heading() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

# check NAME COMMAND...: one test that is a command.
check() {
  local name=$1
  shift
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    cat "$log"
    echo "FAILED: $name"
  fi
}

# suite BUILD [CTEST OPTION...]: runs the tests of a build folder and counts them.
suite() {
  local build=$1 counts
  shift
  ctest --test-dir "$build" --output-on-failure -j"$jobs" --no-tests=error "$@" | tee "$log" |
    grep -vE '^ *[0-9]+/[0-9]+ Test .* Passed |^ *Start +[0-9]+:'
  counts=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of ([0-9]+)$/\1 \2/p' "$log")
  if [ -z "$counts" ]; then
    failed=$((failed + 1))
    echo "FAILED: no tests ran in $build"
    return
  fi
  local left_out
  left_out=$(grep -cE '\(Skipped\)$' "$log")
  failed=$((failed + ${counts% *}))
  skipped=$((skipped + left_out))
  passed=$((passed + ${counts#* } - ${counts% *} - left_out))
}

# build FOLDER TARGETS CMAKE OPTION...: configures and builds; a failure counts as one.
build() {
  local folder=$1 targets=$2
  shift 2
  # shellcheck disable=SC2086
  if ! cmake -S . -B "$folder" -G Ninja "$@" >"$log" 2>&1; then
    cat "$log"
  elif cmake --build "$folder" --target $targets; then
    return 0
  fi
  echo "FAILED: building $folder"
  failed=$((failed + 1))
  return 1
}

sources() {
  find core kernels nn data quant models distill tools tests -name '*.h' -o -name '*.cpp' -o -name '*.inl' \
    -o -name '*.cuh' -o -name '*.cu'
}

# CUDA where its compiler is: kernels are compiled, and run in the emulator. The set-up builds the program so, too.
export APPRENTICE_CUDA=${APPRENTICE_CUDA:-AUTO}

heading 'set-up'
if ! tools/setup.sh $packages; then
  echo '0 passed, 1 failed'
  exit 1
fi

if [ -d "${APPRENTICE_GOLDEN:-../shared/golden}" ] && [ -d "${APPRENTICE_DATA:-../shared}/data" ]; then
  echo 'test: golden values, data and models of ../shared are compared with'
else
  echo 'test: ../shared (or APPRENTICE_GOLDEN, APPRENTICE_DATA) is not there: the tests of the golden values,'
  echo '      of real data and of pretrained models do nothing'
fi

heading 'build and test, Release'
build build all -DCMAKE_BUILD_TYPE=Release -DAPPRENTICE_TESTS=ON -DAPPRENTICE_CUDA="$APPRENTICE_CUDA" &&
  suite build

heading 'ASan and UBSan: base, kernels, packed, core'
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
build build-asan 'base_tests kernels_tests packed_tests core_tests' --preset cpu-asan \
  -DAPPRENTICE_TOOLS=OFF &&
  suite build-asan -L '^(base|kernels|packed|core)$'

if [ "$(uname -m)" = x86_64 ]; then
  heading '64-bit Arm: kernels and packed, cross-compiled, under qemu'
  # -O1 compiles in little more than half the time, but warns of what -O3 sees through. Winograd is for x86-64:
  # its tests would compare the reference with itself, slowly.
  build build-arm64 'kernels_tests packed_tests' --preset arm64-cross -DAPPRENTICE_TESTS=ON \
    -DAPPRENTICE_WERROR=OFF '-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG' &&
    suite build-arm64 -L '^(kernels|packed)$' -E Winograd
fi

heading 'clang-format'
# shellcheck disable=SC2046
check 'clang-format' clang-format --dry-run -Werror $(sources)
# shellcheck disable=SC2046
check 'lines of at most 100 columns' bash -c '! grep -nE "^.{101,}" "$@"' lines $(sources)

if [ $all = yes ]; then
  heading 'clang'
  build build-clang all -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ -DAPPRENTICE_TESTS=ON &&
    suite build-clang

  heading 'shared libraries'
  build build-shared all -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DAPPRENTICE_TESTS=ON &&
    suite build-shared

  heading 'TSan'
  # The OpenMP runtime is not built for TSan, which then sees races in it: one thread there, and the
  # threads of our own (loader, teacher, buffers) under watch.
  build build-tsan 'base_tests data_tests distill_tests' --preset cpu-tsan -DAPPRENTICE_TOOLS=OFF &&
    OMP_NUM_THREADS=1 suite build-tsan -L '^(base|data|distill)$'
fi

[ $skipped = 0 ] || printf '\n%d skipped: they need a GPU\n' "$skipped"
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
