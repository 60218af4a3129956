#!/usr/bin/env bash
# Times packed networks and ONNX Runtime in turn, in one run, and prints the ratios as Markdown.
#
#   tools/compare_onnxruntime.sh [ROUNDS]
#
# Both have random weights. $PYTHON (python3) needs onnx and onnxruntime; APPRENTICE names the program
# (build/apprentice). A figure is the median over rounds of each round's median.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-3}
python=${PYTHON:-python3}
apprentice=${APPRENTICE:-build/apprentice}

# median of the numbers on stdin
median() { sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
ours_ms() { "$apprentice" bench model "$@" --seconds 1 --json | sed -nE 's/.*"median_ms":([0-9.e+-]+).*/\1/p'; }
theirs_ms() { "$python" tools/bench/onnxruntime_bench.py "$@" 1 | sed -nE 's/.*median ([0-9.]+) ms.*/\1/p'; }

# row NETWORK BATCH THREADS
row() {
  local a8='' a6='' int8='' f32=''
  for _ in $(seq "$rounds"); do
    a8+="$(ours_ms "$1" --weights twn --a-bits 8 --batch "$2" --threads "$3")"$'\n'
    int8+="$(theirs_ms "$1" "$2" "$3" int8)"$'\n'
    a6+="$(ours_ms "$1" --weights twn --a-bits 6 --batch "$2" --threads "$3")"$'\n'
    f32+="$(theirs_ms "$1" "$2" "$3" f32)"$'\n'
  done
  awk -v net="$1" -v b="$2" -v n="$3" -v a8="$(printf %s "$a8" | median)" -v a6="$(printf %s "$a6" | median)" \
    -v int8="$(printf %s "$int8" | median)" -v f32="$(printf %s "$f32" | median)" \
    'BEGIN {printf "| %s | %d | %d | %.3f | %.3f | %.3f | %.3f | %.2fx | %.2fx | %.0f |\n", net, b, n, a8, a6, int8, f32,
            int8 / a8, int8 / a6, 1000 * b / a6}'
}

echo '| network | batch | threads | 8A-2W, ms | 6A-2W, ms | ONNX Runtime int8, ms | its f32, ms | int8 / 8A-2W | int8 / 6A-2W | images/s, 6A-2W |'
echo '|---|---|---|---|---|---|---|---|---|---|'
for network in resnet20 resnet18; do
  row "$network" 1 1
  row "$network" 1 2
  row "$network" 64 1
  row "$network" 64 2
done
