"""chDB's incremental materialized views over the same orders, 1000 rows an insert. One JSON line.

    chdb_orders.py VIEWS json|tabs FILE DIRECTORY

FILE is what orders_generate wrote. An insert feeds every view; it is not synced to disk, which is
chDB's default."""
import json
import os
import resource
import sys
import time

import chdb
from chdb import session

views, form, path, place = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
KEYS = [  # orders_bench.c has the same list
    "status, toDate(placedAt)", "toDate(placedAt)", "status", "status, toStartOfMonth(placedAt)",
    "status, quantity", "customer", "status, toMonday(placedAt)", "region, toDate(placedAt)",
    "region, status", "channel, toStartOfMonth(placedAt)"]
COMMIT_ROWS = 1000

db = session.Session(place)
db.query("CREATE DATABASE bench")
db.query("CREATE TABLE bench.orders (`$id` String, customer String, status LowCardinality(String), "
         "region LowCardinality(String), channel LowCardinality(String), quantity Int64, total Decimal(10, 2), "
         "placedAt DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY `$id`")
for index, keys in enumerate(KEYS[:views]):
    named = ", ".join(f"{key} AS k{number}" for number, key in enumerate(keys.split(", ")))
    names = ", ".join(f"k{number}" for number in range(keys.count(", ") + 1))
    db.query(f"CREATE MATERIALIZED VIEW bench.by{index} ENGINE = AggregatingMergeTree ORDER BY ({names}) AS "
             f"SELECT {named}, countState() AS orders, sumState(total) AS sum, avgState(total) AS avg, "
             f"minState(total) AS least, maxState(total) AS most FROM bench.orders GROUP BY {names}")

lines = open(path, encoding="utf-8").read().splitlines(keepends=True)
head = {"json": "SETTINGS date_time_input_format = 'best_effort' FORMAT JSONEachRow\n", "tabs": "FORMAT TSV\n"}[form]
inserts = [f"INSERT INTO bench.orders {head}" + "".join(lines[first:first + COMMIT_ROWS])
           for first in range(0, len(lines), COMMIT_ROWS)]
rows = len(lines)
del lines
base = resource.getrusage(resource.RUSAGE_SELF)
began = time.monotonic()
for insert in inserts:
    db.query(insert)
took = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_SELF)


def total(table, column):
    return db.query(f"SELECT {column} FROM bench.{table}").bytes().decode().strip()


# Updates and deletes: the table changes, the view does not.
db.query("ALTER TABLE bench.orders UPDATE total = total + 1 WHERE endsWith(`$id`, '7') SETTINGS mutations_sync = 2")
db.query("ALTER TABLE bench.orders DELETE WHERE endsWith(`$id`, '9') SETTINGS mutations_sync = 2")
follows = total("orders", "count(), sum(total)") == total("by0", "countMerge(orders), sumMerge(sum)")
print(json.dumps({
    "phase": f"chdb-{form}-{views}", "version": chdb.__version__, "rows": rows, "seconds": round(took, 3),
    "cpu_seconds": round(used.ru_utime + used.ru_stime - base.ru_utime - base.ru_stime, 3),
    "peak_mib": used.ru_maxrss // 1024, "follows_changes": follows}), flush=True)
os._exit(0)  # its shutdown waits for merges
