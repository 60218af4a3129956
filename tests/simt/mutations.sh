#!/usr/bin/env bash
# mutations.sh SETTINGS LIST NUMBER: a wrong kernel, which its test must catch. Takes record NUMBER
# of LIST, puts the wrong file before the right one, compiles the test that LIST lies beside
# (x_mutations.txt: x_test.inl) and runs it in every way that CTest runs the right one. Succeeds if
# one of them fails. NUMBER 0 is the list's control: the file of record 1 unchanged, which must not
# fail. SETTINGS, which CMake writes, names compiler and programs.
#
# A record says what is wrong and which file it is in, then the text that is replaced (-), which
# stands in the file once, and by what (+); lines without a mark go on with the text:
#   what: one row too many of the tail is stored
#   file: tests/simt/pipelined_gemm.cuh
#   - if (row < m && column < n)
#   + if (row <= m && column < n)
set -euo pipefail
settings=$1 list=$2 number=$3
record=$((number > 0 ? number : 1))
# shellcheck disable=SC1090
source "$settings"

what='' file='' old='' new='' part='' seen=0
while IFS= read -r line; do
  case $line in
    'what: '*) seen=$((seen + 1)) ;;
  esac
  [ "$seen" = "$record" ] || continue
  case $line in
    '') ;;
    'what: '*) what=${line#what: } ;;
    'file: '*) file=${line#file: } ;;
    '- '*) old=${line#- } part=old ;;
    '+'*) new=${line#+} new=${new# } part=new ;;
    *) if [ "$part" = old ]; then old+=$'\n'$line; else new+=$'\n'$line; fi ;;
  esac
done <"$list"
[ "$number" -gt 0 ] || new=$old
[ -n "$old" ] || { echo "mutation $number of $list: not there" >&2; exit 2; }

source_text=$(<"$SOURCE/$file")
rest=${source_text#*"$old"}
if [ "$rest" = "$source_text" ] || [ "${rest#*"$old"}" != "$rest" ]; then
  echo "mutation '$what': its text must stand in $file once: $old" >&2
  exit 2
fi

case $file in
  kernels/*) as=apprentice/$file ;;
  tests/*) as=${file#tests/} ;;
  *) echo "mutation '$what': $file is no kernel" >&2; exit 2 ;;
esac
inl=${list%_mutations.txt}_test.inl
place=$FOLDER/$(basename "$list" _mutations.txt)-$number
mkdir -p "$place/include/$(dirname "$as")"
printf '%s\n' "${source_text/"$old"/"$new"}" >"$place/include/$as"
[ "$inl" != "$SOURCE/$file" ] || inl=$place/include/$as
printf '#include "%s"\n' "$inl" >"$place/test.cpp"

# compile WAY: the test as a library that the runners load, not linked with libtsan.
compile() {
  if ! { "$COMPILER" -include "$FOLDER/$1.h" -I"$place/include" @"$FOLDER/$1.rsp" -c \
    "$place/test.cpp" -o "$place/$1.o" &&
    "$COMPILER" -shared -Wl,-Bsymbolic-functions "$place/$1.o" -o "$place/$1.so"; } \
    >"$place/log" 2>&1; then
    cat "$place/log" >&2
    echo "mutation '$what': it does not compile" >&2
    exit 2
  fi
}

# caught RUNNER LIBRARY: does the test fail, or hang?
caught() {
  local status=0
  timeout 60 "$1" "$2" --abort -w NoTests >"$place/log" 2>&1 || status=$?
  if [ "$status" = 99 ]; then
    cat "$place/log" >&2
    exit 2
  fi
  [ "$status" != 0 ]
}

# verdict WAY: somebody noticed.
verdict() {
  if [ "$number" -gt 0 ]; then
    echo "caught: $1"
    exit 0
  fi
  cat "$place/log" >&2
  echo "control: the right $file fails, $1" >&2
  exit 1
}

compile fast
export APPRENTICE_SIMT_ORDER=forward APPRENTICE_SIMT_ARRIVAL=lazy
if caught "$RUNNER" "$place/fast.so"; then
  verdict 'forward and lazy'
fi
export APPRENTICE_SIMT_ORDER=greedy APPRENTICE_SIMT_ARRIVAL=eager
if caught "$RUNNER" "$place/fast.so"; then
  verdict 'greedy and eager'
fi
compile checker
export APPRENTICE_SIMT_ORDER=forward APPRENTICE_SIMT_ARRIVAL=lazy
if caught "$RUNNER_CHECKER" "$place/checker.so"; then
  verdict 'access checker'
fi
if [ "$number" -gt 0 ]; then
  echo "mutation '$what' of $file: no test fails" >&2
  exit 1
fi
grep -q 'All tests passed' "$place/log"
