#!/usr/bin/env bash
# Tail events into four views, verified, as Parquet that DuckDB reads. Run by `make demo`.
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
cd "$project"
example=examples/tail-worker
place=${1:-build/demo}
export PATH=${PARQUEDB_BIN:-$project/build}:$PATH

if [ -t 1 ]; then bold=$'\033[1m' dim=$'\033[2m' plain=$'\033[0m'; else bold='' dim='' plain=''; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# Show a command as it would be typed, then run it.
run() {
    printf '%s$ %s%s\n' "$dim" "$*" "$plain"
    "$@"
}
db() { run parquedb --db "$place" --format table "$@"; }

rm -rf "$place"
mkdir -p "$(dirname "$place")"

step "1. A schema: one stream of events, four views"
db init "$example/schema.json5"

step "2. 300 real Cloudflare tail events come in; the views follow in the same commit"
head -n 300 "$example/events.ndjson" | db ingest tail -
db view list

step "3. EndpointMetrics is scheduled hourly: stale until its refresh, and it says so"
db view refresh EndpointMetrics
db find EndpointMetrics

step "4. The other 200 arrive, compressed"
tail -n +301 "$example/events.ndjson" | gzip >"$place.gz"
db ingest tail "$place.gz"
rm -f "$place.gz"
db find WorkerErrors --select exceptionName,exceptionMessage,status,url --limit 5
db count WorkerLogs "{ level: 'warn' }"
db view refresh EndpointMetrics

step "5. Never wrong: each view recomputed and compared row by row"
db view verify

step "6. A checkpoint writes Parquet with Iceberg metadata"
db checkpoint
db status

step "7. Anybody reads the files"
python=${PQ_DEPS_DIR:-$project/.deps}/venv/bin/python
if [ ! -x "$python" ] || ! "$python" -c 'import duckdb' 2>/dev/null; then
    echo "DuckDB is not here; tools/setup.sh test installs it. The files:"
    find "$place" -name '*.parquet' | sort
    exit 0
fi
query="SELECT method, status, count(*) AS requests
FROM read_parquet('$place/_views/WorkerRequests/data/*.parquet')
GROUP BY ALL ORDER BY requests DESC, method, status LIMIT 5"
printf '%sDuckDB: %s%s\n' "$dim" "$query" "$plain"
"$python" -c 'import duckdb, sys; duckdb.sql(sys.argv[1]).show()' "$query"
echo "The database is in $place: try \`build/parquedb --db $place find WorkerLogs --limit 3\`"
