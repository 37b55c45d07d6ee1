#!/usr/bin/env bash
# Runs every fuzz target for PQ_FUZZ_SECONDS (60 in CI, else 5), two at a time and at most a quarter
# of an hour in all. Starts from the kept corpus and leaves it as it is: what is worth keeping is
# copied by hand from build/fuzz/found/<name>. The exit code is the number of targets that failed.
#
#   tools/fuzz.sh [name...]     only these, e.g. `tools/fuzz.sh codec`
set -uo pipefail
cd "$(dirname "$0")/.."

if [ "${CI:-}" = true ]; then seconds=${PQ_FUZZ_SECONDS:-60}; else seconds=${PQ_FUZZ_SECONDS:-5}; fi
names=("$@")
if [ ${#names[@]} = 0 ]; then
    for source in tests/fuzz/*_fuzz.c; do
        [ -f "$source" ] || exit 0
        names+=("$(basename "$source" _fuzz.c)")
    done
fi
budget=$((900 * 2 / ${#names[@]}))
[ "$seconds" -le "$budget" ] || seconds=$budget

mkdir -p build
cmake --preset fuzz >build/fuzz-configure.log 2>&1 || { cat build/fuzz-configure.log; exit 125; }
cmake --build --preset fuzz -j"${PQ_JOBS:-$(nproc)}" || exit 125

run_target() {
    local name=$1 found=build/fuzz/found/$1 kept=tests/fuzz/corpus/$1 options=() runs
    mkdir -p "$found"
    [ ! -d "$kept" ] || options+=("$kept")
    [ ! -f "tests/fuzz/$name.dict" ] || options+=("-dict=tests/fuzz/$name.dict")
    if "build/fuzz/tests/fuzz/${name}_fuzz" "$found" "${options[@]}" -max_total_time="$seconds" \
        -timeout=20 -rss_limit_mb=2560 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" >"build/fuzz/$name.log" 2>&1; then
        runs=$(awk '/number_of_executed_units/ { print $2 }' "build/fuzz/$name.log")
        echo "  fuzz/$name: $runs runs in $seconds s"
    else
        echo "  fuzz/$name FAILED: see build/fuzz/$name.log"
        tail -n 40 "build/fuzz/$name.log"
        return 1
    fi
}

failed=0
for ((i = 0; i < ${#names[@]}; i += 2)); do
    pids=()
    for name in "${names[@]:i:2}"; do
        run_target "$name" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=$((failed + 1)); done
done
exit $((failed > 124 ? 124 : failed))
