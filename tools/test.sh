#!/usr/bin/env bash
# Builds the dev preset, runs every test, and closes with one line: "N passed, N failed".
# `--fuzz` lets every fuzz target run as well, for PQ_FUZZ_SECONDS each (tools/fuzz.sh).
set -uo pipefail
cd "$(dirname "$0")/.."

jobs=${PQ_JOBS:-$(nproc)}
report=build/dev/tests.xml

mkdir -p build
cmake --preset dev >build/dev-configure.log 2>&1 || { cat build/dev-configure.log; exit 1; }
cmake --build --preset dev -j"$jobs" || exit 1
rm -f "$report"
ctest --preset dev -j"$jobs" --timeout "${PQ_TEST_TIMEOUT:-1500}" --output-junit "$PWD/$report" | grep -v '^ *Start '

# An attribute of the report's first element, which has each on a line of its own.
count() { sed -n "s/^[[:space:]]*$1=\"\([0-9]*\)\".*/\1/p" "$report" | head -n 1; }
total=$(count tests)
failed=$(count failures)
skipped=$(count skipped)
if [ -z "$total" ] || [ "$total" = 0 ]; then
    echo "test: ctest ran nothing" >&2
    exit 1
fi
passed=$((total - failed - skipped))

if [ "${1:-}" = --fuzz ]; then
    tools/fuzz.sh
    fuzz_failed=$?
    fuzz_total=$(find tests/fuzz -maxdepth 1 -name '*_fuzz.c' 2>/dev/null | wc -l)
    [ "$fuzz_failed" -le "$fuzz_total" ] || fuzz_failed=$fuzz_total
    passed=$((passed + fuzz_total - fuzz_failed))
    failed=$((failed + fuzz_failed))
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
