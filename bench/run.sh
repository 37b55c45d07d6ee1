#!/usr/bin/env bash
# `make bench`: the main jobs beside their peers, on the same rows in the same run.
#
#   PQ_BENCH_EVENTS   tail events of the bulk load, default 1000000 (1.1 GB)
#   PQ_BENCH_ROWS     orders, default 1000000; the large table has ten times as many
#   PQ_BENCH_LOG_MIB  of the log that a killed process leaves, default 1024
#   PQ_BENCH_DIR      where files go, default build/bench-data
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
deps=${PQ_DEPS_DIR:-$project/.deps}
place=${PQ_BENCH_DIR:-$project/build/bench-data}
events=${PQ_BENCH_EVENTS:-1000000}
orders=${PQ_BENCH_ROWS:-1000000}
mib=${PQ_BENCH_LOG_MIB:-1024}
programs=$project/build/release/bench
python=$deps/venv/bin/python

say() { printf '%s\n' "$*" >&2; }

cmake --preset release -S "$project" -DPQ_BENCH=ON >/dev/null
cmake --build "$project/build/release" -j"$(nproc)" >/dev/null
rm -rf "$place"
mkdir -p "$place"
results=$place/results.ndjson
touch "$results"

# Each figure takes its own process; one that fails is said and left out.
step() {
    local what=$1
    shift
    say "  $what"
    "$@" >>"$results" || say "  $what: failed"
}
peer() { step "$1" "$python" "$project/bench/$2" "${@:3}"; }

say "generating $events events and $orders orders"
"$programs/tail_generate" "$events" >"$place/events.ndjson"
say "$(du -h "$place/events.ndjson" | cut -f1) of NDJSON"

step "bulk load, ours" "$programs/tail_bench" bulk "$place/events.ndjson" "$place/bulk"
peer "bulk load, DuckDB with JSON columns" duckdb_tail.py json "$place/events.ndjson" "$place/duckdb"
peer "bulk load, DuckDB with typed columns" duckdb_tail.py typed "$place/events.ndjson" "$place/duckdb"
step "open, find, empty refresh" "$programs/tail_bench" open "$place/bulk"
rm -rf "$place/bulk" "$place/duckdb"
step "commits of 1000 events, ours" "$programs/tail_bench" live $((events / 5)) "$place/live"
peer "commits of 1000 events, chDB" chdb_tail.py $((events / 20)) "$place/events.ndjson" "$place/chdb"
step "commits of one event" "$programs/tail_bench" single 20000 "$place/single"
step "the same beside checkpoints" "$programs/tail_bench" busy 20000 "$place/busy"
rm -rf "$place"/{live,chdb,single,busy,events.ndjson}

for form in json tabs; do
    "$programs/orders_generate" $form "$((orders / 5))" >"$place/orders.$form"
done
for views in 1 10; do
    step "$views grouped view(s), ours" "$programs/orders_bench" groups $views "$orders" "$place/groups"
    rm -rf "$place/groups"
    for form in json tabs; do
        peer "$views grouped view(s), chDB, rows as $form" chdb_orders.py $views $form \
            "$place/orders.$form" "$place/chdb"
        rm -rf "$place/chdb"
    done
done

step "updates and deletes, ours" "$programs/orders_bench" exact $((orders / 5)) "$place/exact"
rm -rf "$place"/{exact,orders.json,orders.tabs}

for rows in "$orders" $((orders * 10)); do
    step "$rows orders into files" "$programs/orders_bench" load "$rows" "$place/shop-$rows"
    if [ "$rows" != "$orders" ]; then
        peer "the grouped view from nothing, DuckDB" duckdb_orders.py "$place/shop-$rows" "$place/duckdb"
        for _ in 1 2 3; do
            step "the grouped view from nothing, ours" "$programs/orders_bench" build "$place/shop-$rows"
        done
    fi
    step "changes to $rows orders" "$programs/orders_bench" mix "$rows" "$place/shop-$rows"
    if [ "$rows" != "$orders" ]; then
        step "refreshes over $rows orders" "$programs/refresh_bench" "$place/shop-$rows"
    else
        step "commits of one update, ours" "$programs/orders_bench" single "$rows" "$place/shop-$rows"
        step "commits of one update, PostgreSQL" bash "$project/bench/postgres_orders.sh" "$rows" "$place/postgres"
    fi
    rm -rf "$place"/{shop-"$rows",duckdb,postgres}
done

say "the storage core"
step "back after a kill, log of $((mib)) MiB" "$programs/store_bench" crash "$mib" "$place/killed"
rm -rf "$place/killed"
step "back without a checkpoint" "$programs/store_bench" replay "$mib" "$place/killed"
rm -rf "$place/killed"
step "open after a clean close" "$programs/store_bench" open $((orders * 10)) "$place/closed"
rm -rf "$place/closed"
step "bytes written and kept under updates" "$programs/store_bench" update "$orders" "$place/updates"
rm -rf "$place/updates"
step "commits at 70 % beside background work" "$programs/store_bench" load70 "$orders" "$place/load70"
rm -rf "$place/load70"
step "groups in a quarter of the memory" "$programs/store_bench" spill "$orders" "$place/spill"
rm -rf "$place"/spill{,.enough}

flights=$deps/npm-bench/node_modules/vega-datasets/data/flights-3m.parquet
ask() {
    say "questions to $1"
    "$programs/find_bench" make "$1" "$2" "$place/questions"
    "$python" "$project/bench/find_peers.py" "$programs/find_bench" "$1" "$place/questions"
    rm -rf "$place/questions"
}
ask orders $((orders * 10))
ask flights "$flights"

say "paths inside variants"
"$programs/shred_bench" make "$events" "$place/plain"
"$programs/shred_bench" make "$events" "$place/shredded" shredded
"$python" "$project/bench/shred_peers.py" "$programs/shred_bench" "$place/plain" "$place/shredded"
rm -rf "$place"/{plain,shredded}

"$python" "$project/bench/report.py" "$results"
for room in ingest log parquet flow; do
    [ -x "$programs/${room}_bench" ] || continue
    say ""
    say "$room alone"
    "$programs/${room}_bench"
done
say ""
say "Parquet files beside pyarrow and DuckDB"
"$python" "$project/bench/parquet_peers.py" "$programs/parquet_files" "$place" "$flights"
