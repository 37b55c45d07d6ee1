"""DuckDB on the same Parquet files: the grouped view, written to Parquet. Two threads, the best of five. One JSON line.

    duckdb_orders.py DATABASE DIRECTORY     DATABASE as orders_bench load left it"""
import json
import os
import resource
import sys
import time

import duckdb
from pyiceberg.table import StaticTable

table, place = f"{sys.argv[1]}/Order/metadata", sys.argv[2]
# Files that older snapshots need lie beside those of this one.
version = open(f"{table}/version-hint.text").read().strip()
current = StaticTable.from_metadata(f"{table}/v{version}.metadata.json")
files = sorted(task.file.file_path.removeprefix("file://") for task in current.scan().plan_files())
os.makedirs(place, exist_ok=True)
db = duckdb.connect()
db.execute("SET threads = 2")
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
query = ("SELECT status, CAST(placedAt AS DATE) AS day, count(*) AS orders, sum(total) AS sum, avg(total) AS avg, "
         f"min(total) AS least, max(total) AS most FROM read_parquet({files!r}) GROUP BY ALL")
took = []
for _ in range(5):
    began, used = time.monotonic(), time.process_time()
    db.execute(f"COPY ({query}) TO '{place}/by_day.parquet' (FORMAT parquet, COMPRESSION zstd)")
    took.append((time.monotonic() - began, time.process_time() - used))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
rows = db.execute(f"SELECT count(*) FROM read_parquet({files!r})").fetchone()[0]
print(json.dumps({
    "phase": "duckdb-build", "version": duckdb.__version__, "rows": rows, "seconds": round(min(took)[0], 4),
    "cpu_seconds": round(min(cpu for _, cpu in took), 4), "base_mib": base, "peak_mib": peak}))
