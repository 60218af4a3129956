#!/usr/bin/env bash
# Times ours and PyTorch (channels last) in turn, in one run, and prints the ratios as Markdown.
#
#   tools/compare_pytorch.sh PACKED [ROUNDS]
#
# PACKED is a packed 8A-2W ResNet-20. PyTorch is timed by ../shared/peers/torch_bench.py (or $TORCH_BENCH) with
# /usr/bin/python3 (Debian: python3-torch) or $PYTHON; APPRENTICE names the program (build/apprentice). A figure is
# the median over rounds of each round's median.
set -euo pipefail
cd "$(dirname "$0")/.."

packed=${1:?usage: tools/compare_pytorch.sh PACKED [ROUNDS]}
rounds=${2:-3}
torch_bench=${TORCH_BENCH:-../shared/peers/torch_bench.py}
python=${PYTHON:-/usr/bin/python3}
apprentice=${APPRENTICE:-build/apprentice}

[ -f "$torch_bench" ] || { echo "compare_pytorch: no $torch_bench; set TORCH_BENCH" >&2; exit 66; }

# median of the numbers on stdin
median() { sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
ours_ms() { "$apprentice" bench "$@" --json | sed -nE 's/.*"median_ms":([0-9.e+-]+).*"peak_rss_bytes":([0-9]+).*/\1 \2/p'; }
torch_ms() { "$python" "$torch_bench" "$@" nhwc | sed -nE 's/.*median ([0-9.]+) ms.*peakRSS ([0-9]+) MiB.*/\1 \2/p'; }

# row NAME TORCH_CASE THREADS BENCH_ARGUMENT...
row() {
  local name=$1 case=$2 threads=$3 ours='' torch='' line
  shift 3
  for _ in $(seq "$rounds"); do
    line=$(ours_ms "$@" --threads "$threads")
    ours+="${line% *}"$'\n' our_rss=${line#* }
    line=$(torch_ms "$case" "$threads")
    torch+="${line% *}"$'\n' torch_rss=${line#* }
  done
  awk -v name="$name" -v o="$(printf %s "$ours" | median)" -v t="$(printf %s "$torch" | median)" \
    -v r="$our_rss" -v q="$torch_rss" -v n="$threads" \
    'BEGIN {printf "| %s | %d | %.2f | %.2f | %.2fx | %.0f | %.0f |\n", name, n, o, t, t / o, r / 1048576, q}'
}

echo '| work | threads | ours, ms | PyTorch nhwc, ms | ratio | our peak RSS, MiB | its peak RSS, MiB |'
echo '|---|---|---|---|---|---|---|'
for threads in 2 1; do
  row 'ResNet-20 training step, batch 128' r20train $threads step resnet20
  row '8A-2W training step against f32, batch 128' r20train $threads step resnet20 --weights twn
  row 'ResNet-56 to ResNet-20 distillation step, batch 128' kd $threads step resnet20 --teacher resnet56
  row 'distillation step of 8A-2W against f32, batch 128' kd $threads step resnet20 --teacher resnet56 --weights twn
  row 'ResNet-20 f32 inference, batch 128' r20infer $threads model resnet20
  row 'packed 8A-2W against f32, batch 128' r20infer $threads model "$packed"
done
row 'ResNet-20 f32 inference, batch 1' r20lat 1 model resnet20 --batch 1
row 'packed 8A-2W against f32, batch 1' r20lat 1 model "$packed" --batch 1
