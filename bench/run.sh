#!/usr/bin/env bash
# `make bench`: the main job beside its peers, on the same events in the same run.
#
#   PQ_BENCH_EVENTS   events of the bulk load, default 1000000 (1.1 GB)
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
deps=${PQ_DEPS_DIR:-$project/.deps}
place=${PQ_BENCH_DIR:-$project/build/bench-data}
events=${PQ_BENCH_EVENTS:-1000000}
programs=$project/build/release/bench
python=$deps/venv/bin/python

say() { printf '%s\n' "$*" >&2; }

cmake --preset release -S "$project" -DPQ_BENCH=ON >/dev/null
cmake --build "$project/build/release" -j"$(nproc)" >/dev/null
rm -rf "$place"
mkdir -p "$place"
results=$place/results.ndjson

say "generating $events events"
"$programs/tail_generate" "$events" >"$place/events.ndjson"
say "$(du -h "$place/events.ndjson" | cut -f1) of NDJSON; each figure takes its own process"

step() { say "  $1"; shift; "$@" >>"$results"; }
step "bulk load, ours" "$programs/tail_bench" bulk "$place/events.ndjson" "$place/bulk"
step "bulk load, DuckDB with JSON columns" "$python" "$project/bench/duckdb_tail.py" json "$place/events.ndjson" "$place/duckdb"
step "bulk load, DuckDB with typed columns" "$python" "$project/bench/duckdb_tail.py" typed "$place/events.ndjson" "$place/duckdb"
step "commits of 1000 events" "$programs/tail_bench" live 200000 "$place/live"
step "commits of one event" "$programs/tail_bench" single 20000 "$place/single"
step "the same beside checkpoints" "$programs/tail_bench" busy 20000 "$place/busy"
step "open, find, empty refresh" "$programs/tail_bench" open "$place/bulk"

"$python" "$project/bench/report.py" "$results"
for room in ingest log parquet flow table; do
    [ -x "$programs/${room}_bench" ] || continue
    say ""
    say "$room alone"
    "$programs/${room}_bench"
done
