#!/usr/bin/env bash
# From a clone to an apprentice: sets up, distils a ternary ResNet under a full-precision teacher, repeats
# the run without the teacher (control), packs the apprentice to 2 bits a weight, checks that the packed
# network computes the same integers, and prints one table. Under 15 minutes on two cores.
#
#   tools/quickstart.sh             CIFAR-10 and pretrained teachers if they are found, else shapes10
#   tools/quickstart.sh shapes10    the generated set, whatever is found
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=${1-}
case "$wanted" in
  '' | cifar10 | shapes10) ;;
  *) echo "quickstart: unknown road '$wanted'; known: cifar10, shapes10" >&2; exit 2 ;;
esac

apprentice=build/apprentice
# A waiting thread that spins takes the core that the others wait for where something else runs, too:
# training fell from 1200 to 55 images/s beside a compiler.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

heading() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

# The first root that holds all that the CIFAR-10 road needs, as the program seeks it.
root_with_cifar10() {
  local root
  for root in ${APPRENTICE_DATA:+"$APPRENTICE_DATA"} . ../shared; do
    [ -d "$root/data/cifar10" ] || [ -d "$root/cifar10" ] || continue
    [ -f "$root/models/cifar10/resnet56_jpeg.safetensors" ] || continue
    [ -f "$root/models/cifar10/resnet20_jpeg.safetensors" ] || continue
    echo "$root"
    return 0
  done
  return 1
}

# json KEY FILE: the number or text of a key of a flat JSON object.
json() { sed -nE "s/.*\"$1\":(\"([^\"]*)\"|([^,}]*)).*/\2\3/p" "$2" | head -n 1; }

# A folder of this call alone: earlier runs stay.
new_run_folder() {
  local n=1 folder=runs/quickstart
  while [ -e "$folder" ]; do
    n=$((n + 1))
    folder=runs/quickstart-$n
  done
  mkdir -p "$folder"
  echo "$folder"
}

# row NAME MODEL: evaluates a model and prints its row of the table.
row() {
  local name=$1 model=$2 result=$runs/eval.json
  "$apprentice" eval "$model" --data "$data" --json >"$result"
  printf '| %-34s | %9.2f | %9d | %9.0f |\n' "$name" "$(json top1 "$result")" \
    "$(json model_bytes "$result")" "$(json images_per_s "$result")"
}

heading 'set-up'
tools/setup.sh

runs=$(new_run_folder)
if [ "$wanted" != shapes10 ] && root=$(root_with_cifar10); then
  road=cifar10
  why="found in $root"
elif [ "$wanted" = cifar10 ]; then
  echo 'quickstart: cifar10 needs data/cifar10 and models/cifar10/resnet{56,20}_jpeg.safetensors under' \
    '$APPRENTICE_DATA, . or ../shared' >&2
  exit 66
else
  road=shapes10
  why=${wanted:+as asked}
  why=${why:-no CIFAR-10 with pretrained teachers under \$APPRENTICE_DATA, . or ../shared}
fi
data=$road

if [ "$road" = cifar10 ]; then
  printf '\nRoad: CIFAR-10, teacher ResNet-56 (%s).\n' "$why"
  recipe=tools/recipes/cifar10_resnet20_ternary.toml
  teacher=resnet56_jpeg start=resnet20_jpeg
  teacher_name='teacher, ResNet-56, f32' start_name='ResNet-20, f32'
  settings=(--set train.epochs=1)
else
  printf '\nRoad: shapes10, a generated set, with a teacher of our own (%s).\n' "$why"
  recipe=tools/recipes/shapes10_resnet8_ternary.toml
  heading 'train a full-precision teacher'
  "$apprentice" train tools/recipes/shapes10_teacher.toml --output "$runs/teacher"
  heading 'train the small network in full precision'
  "$apprentice" train tools/recipes/shapes10_resnet8.toml --output "$runs/start"
  teacher=$runs/teacher/checkpoints/last start=$runs/start/checkpoints/last
  teacher_name='teacher, f32' start_name='ResNet-8, f32'
  settings=(--set "teacher.weights=$teacher" --set "model.init=$start")
fi

heading 'distil the ternary apprentice (8-bit activations)'
"$apprentice" distill "$recipe" --output "$runs/apprentice" "${settings[@]}"

heading 'control: the same without the teacher'
"$apprentice" distill "$recipe" --output "$runs/control" "${settings[@]}" --control

heading 'pack to 2 bits a weight, and verify'
packed=$runs/packed.safetensors
"$apprentice" pack "$runs/apprentice/checkpoints/last" "$packed"
"$apprentice" verify "$runs/apprentice/checkpoints/last" "$packed" --data "$data"

heading "results on the test images of $data"
{
  printf '| %-34s | %9s | %9s | %9s |\n' network 'top-1 %' bytes images/s
  printf '|%s|%s|%s|%s|\n' ------------------------------------ ----------: ----------: ----------:
  row "$teacher_name" "$teacher"
  row "$start_name" "$start"
  row 'control, ternary' "$runs/control/checkpoints/last"
  row 'apprentice, ternary' "$runs/apprentice/checkpoints/last"
  row 'apprentice, packed' "$packed"
} | tee "$runs/table.md"
printf '\nThe run is in %s; the table in %s/table.md (%s s in all).\n' "$runs" "$runs" "$SECONDS"
