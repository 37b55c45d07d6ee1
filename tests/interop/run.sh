#!/usr/bin/env bash
# Runs the interop scripts against a build (default: build/dev) and adds up their checks. Each
# prints "ok - what" or "not ok - what" for every check. ctest runs the same scripts one by one.
#
#   tests/interop/run.sh [-b BUILD_FOLDER] [WORD…]     only scripts with a WORD in their name
set -uo pipefail

project=$(cd "$(dirname "$0")/../.." && pwd)
build=$project/build/dev
if [ "${1:-}" = -b ]; then
    build=$(cd "$2" && pwd)
    shift 2
fi
deps=${PQ_DEPS_DIR:-$project/.deps}
export PQ_BUILD_DIR=$build PQ_PROJECT_DIR=$project PQ_PYTHON=$deps/venv/bin/python

is_wanted() {
    local name=$1 word
    shift
    [ $# -gt 0 ] || return 0
    for word in "$@"; do [[ $name == *"$word"* ]] && return 0; done
    return 1
}

run_script() {
    case $1 in
        *.py) "$PQ_PYTHON" "$1" ;;
        *.mjs) node "$1" ;;
        *) bash "$1" ;;
    esac
}

ok=0
not_ok=0
shopt -s nullglob
for script in "$project"/tests/interop/*_test.{py,mjs,sh}; do
    name=$(basename "$script")
    is_wanted "$name" "$@" || continue
    echo "# $name"
    output=$(run_script "$script" 2>&1)
    status=$?
    printf '%s\n' "$output"
    passed=$(grep -c '^ok' <<<"$output")
    # A script that counts its checks in its own way counts as one.
    if [ "$status" = 0 ] && [ "$passed" = 0 ]; then passed=1; fi
    ok=$((ok + passed))
    failed=$(grep -c '^not ok' <<<"$output")
    # A script that breaks off has failed, whatever it printed before.
    if [ "$status" != 0 ] && [ "$failed" = 0 ]; then
        echo "not ok - $name ended with $status"
        failed=1
    fi
    not_ok=$((not_ok + failed))
done
echo "$ok ok, $not_ok not ok"
[ "$not_ok" = 0 ] && [ "$ok" -gt 0 ]
