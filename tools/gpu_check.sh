#!/usr/bin/env bash
# Proves the CUDA backend on the GPU of this machine, without a network: builds it for that GPU, runs
# all tests of kernels and of the stack on the device (parity with the CPU), kernels again under compute-sanitizer
# where that is installed, times kernels, training steps and packed networks, distils for a short while, times
# PyTorch beside it where python3 has it, and prints one table.
#
#   tools/gpu_check.sh [OUT]     OUT (build-gpu/check): gets gpu_check.md, gpu_check.json, the run and the logs
#
#   APPRENTICE_DATA    where CIFAR-10 and its teachers are sought beside . and ../shared; without them the generated
#                      set shapes10 takes their place
#   APPRENTICE_VENDOR  a folder made by tools/vendor.sh, for machines without the libraries
#   GPU_BUILD          a build folder made elsewhere, with apprentice and the tests in it: nothing is built
#   EPOCHS             of the distillation (3)
#   SECONDS_A_TOOL     that each tool of compute-sanitizer may take (100); these come last
#
# The table is written anew after every step, so a call that is cut short leaves what it found.
# Exit code 0: all passed; 1: something failed; 77: no CUDA device.
set -uo pipefail
root=$(dirname "$0")/..
out=$(realpath -m "${1:-$root/build-gpu/check}")
build=$(realpath -m "${GPU_BUILD:-$root/build-gpu}")
vendor=${APPRENTICE_VENDOR:+$(realpath -m "$APPRENTICE_VENDOR")}
[ -z "${APPRENTICE_DATA-}" ] || APPRENTICE_DATA=$(realpath -m "$APPRENTICE_DATA")
cd "$root" || exit 1
apprentice=$build/apprentice
rows=() json=() failures=0

# row WHAT RESULT SECONDS
row() {
  rows+=("| $1 | $2 | $3 |")
  json+=("{\"what\":\"$1\",\"result\":\"$2\",\"seconds\":$3}")
  write_tables
}

write_tables() {
  {
    printf '%s, commit %s\n\n| check | result | seconds |\n|---|---|---|\n' "$device" "$commit"
    printf '%s\n' "${rows[@]}"
    if [ -s "$out/bench.md" ]; then printf '\n' && cat "$out/bench.md"; fi
  } >"$out/gpu_check.md"
  printf '{"device":"%s","commit":"%s","checks":[%s]}\n' "$device" "$commit" "$(IFS=,; echo "${json[*]}")" >"$out/gpu_check.json"
}

# step WHAT LOG COMMAND...: runs it and notes how it ended, or, if $key is set, that number of the JSON that it prints.
key=
step() {
  local what=$1 log=$out/$2 begin=$SECONDS result=passed
  shift 2
  echo "gpu_check: $what" >&2
  "$@" >"$log" 2>"$log.err" || result="FAILED ($?)"
  [ "$result" = 'FAILED (124)' ] && result='not finished in its time'
  if [[ $result == FAILED* ]]; then
    failures=$((failures + 1))
    tail -n 30 "$log" "$log.err" >&2
  elif [ "$result" = passed ] && [ -n "$key" ]; then
    result=$(grep -oE "\"$key\":[-0-9.e+]+" "$log" | tail -n 1 | cut -d: -f2)
    if [ -n "$result" ]; then
      result+=" ${key##*_}"
    else
      result="FAILED (no $key)" failures=$((failures + 1))
    fi
  fi
  row "$what" "$result" "$((SECONDS - begin))"
  [[ $result != FAILED* ]]
}

# The device, as nvidia-smi names it: name, driver, compute capability.
if ! device=$(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader 2>/dev/null | head -n 1) ||
  [ -z "$device" ]; then
  echo 'gpu_check: no CUDA device (nvidia-smi finds none); nothing was checked' >&2
  exit 77
fi
capability=${device##*, }
architecture=${capability/./}-real
[ "$capability" = 9.0 ] && architecture=90a-real
mkdir -p "$out" || exit 73
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)

if [ -n "$vendor" ]; then
  [ -d "$vendor/usr" ] || { echo "gpu_check: $vendor is no folder of tools/vendor.sh" >&2; exit 66; }
  LD_LIBRARY_PATH=$vendor/usr/lib/$(uname -m)-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
fi

build_all() {
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DAPPRENTICE_CUDA=ON -DAPPRENTICE_TESTS=ON \
    "-DCMAKE_CUDA_ARCHITECTURES=$architecture" ${vendor:+"-DCMAKE_PREFIX_PATH=$vendor/usr"} \
    ${vendor:+"-DCMAKE_LIBRARY_ARCHITECTURE=$(uname -m)-linux-gnu"} &&
    cmake --build "$build" --target apprentice_program gpu_tests gpu_device_tests
}

# bench WHAT LOG ARGUMENT...: the median of `apprentice bench ARGUMENT...` on the device.
bench() {
  local what=$1 log=$2 key=median_ms
  shift 2
  step "$what" "$log" "$apprentice" bench "$@" --device cuda --json
}

# distil RUN [OPTION...]: a short distillation in $out/RUN, packed and verified.
distil() {
  local run=$out/$1 settings=(--set "train.epochs=${EPOCHS:-3}" "${@:2}") data=cifar10 recipe
  if "$apprentice" eval resnet56_jpeg --data cifar10 --images 1 >/dev/null 2>&1 &&
    "$apprentice" eval resnet20_jpeg --data cifar10 --images 1 >/dev/null 2>&1; then
    recipe=tools/recipes/cifar10_resnet20_ternary.toml
  else
    recipe=tools/recipes/shapes10_resnet8_ternary.toml data=shapes10
    [ -d "$out/start" ] ||
      { "$apprentice" train tools/recipes/shapes10_teacher.toml --device cuda --output "$out/teacher" &&
        "$apprentice" train tools/recipes/shapes10_resnet8.toml --device cuda --output "$out/start"; } || return
    settings+=(--set "teacher.weights=$out/teacher/checkpoints/last" --set "model.init=$out/start/checkpoints/last")
  fi
  "$apprentice" distill "$recipe" --device cuda --output "$run" "${settings[@]}" &&
    "$apprentice" pack "$run/checkpoints/last" "$run.safetensors" &&
    "$apprentice" verify "$run/checkpoints/last" "$run.safetensors" --data "$data" --device cuda
}

# distillation WHAT RUN [OPTION...]
distillation() {
  local summary=$out/$2/summary.csv
  step "$1, packed, verified" "$2.log" distil "${@:2}" || return
  row "$1: top-1 of the last epoch" "$(tail -n 1 "$summary" | cut -d, -f6) %" 0
  row "$1: images/s in training, last epoch" "$(tail -n 1 "$summary" | cut -d, -f8)" 0
  row "$1: seconds of the last epoch's steps" "$(tail -n 1 "$summary" | cut -d, -f9)" 0
}

rm -rf "$out/run_f32" "$out/run_bf16" "$out/teacher" "$out/start"
if [ -z "${GPU_BUILD-}" ]; then step "build for $architecture" build.log build_all; fi
step 'kernel cases' kernels.log "$build/tests/simt/gpu_tests"
step 'stack on the device, parity with the CPU' stack.log "$build/tests/device/gpu_device_tests"
distillation 'distillation' run_f32
distillation 'distillation in bf16, batch 512' run_bf16 --set train.precision=bf16 --set train.batch=512
for precision in f32 bf16; do
  bench "ResNet-20 step, $precision, batch 512" "step_$precision.json" step resnet20 --graph --precision $precision --batch 512
  bench "ResNet-56 to ResNet-20 step, $precision, batch 512" "distil_step_$precision.json" step resnet20 --teacher resnet56 \
    --graph --precision $precision --batch 512
done
for batch in 1 512; do
  bench "packed ResNet-18, batch $batch" "packed$batch.json" model resnet18 --weights twn --a-bits 8 --graph --batch "$batch"
done
step 'kernels, verified and timed' bench.md "$apprentice" bench kernels --device cuda --md --shapes resnet18 --shapes resnet20 \
  --shapes gemm --shapes gemv
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  key=median_ms
  for precision in f32 bf16; do
    step "PyTorch, ResNet-56 to ResNet-20 step, $precision, channels last, batch 512" "torch_$precision.json" \
      python3 tools/bench/torch_distill.py --batch 512 --precision "$precision"
  done
  step 'PyTorch, the same in bf16 with augmentation on the device' torch_augment.json \
    python3 tools/bench/torch_distill.py --batch 512 --precision bf16 --augment
  key=
else
  row 'PyTorch' 'python3 has none that sees the device' 0
fi
# Our kernels alone: those of libraries are not ours to check.
if command -v compute-sanitizer >/dev/null; then
  filter='~[vendor]'
  [ "$capability" = 9.0 ] || filter+='~[sm90]'
  for tool in memcheck racecheck; do
    step "kernel cases, $tool" "$tool.log" timeout "${SECONDS_A_TOOL:-100}" compute-sanitizer --tool "$tool" --error-exitcode 1 \
      "$build/tests/simt/gpu_tests" "$filter"
  done
else
  row 'compute-sanitizer' 'not installed' 0
fi

cat "$out/gpu_check.md"
[ "$failures" = 0 ]
