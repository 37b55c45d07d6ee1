"""chDB's incremental materialized views over the same tail events, 1000 events an insert: the events kept whole
(nested fields as JSON text), three views of rows and a grouped one on one of them. One JSON line.

    chdb_tail.py EVENTS FILE DIRECTORY

An insert feeds every view; it is not synced to disk, which is chDB's default."""
import itertools
import json
import os
import resource
import sys
import time

import chdb
from chdb import session

count, path, place = int(sys.argv[1]), sys.argv[2], sys.argv[3]
COMMIT_ROWS = 1000


def field(*names, kind="String", of="event"):
    return f"JSONExtract{kind}({of}, " + ", ".join(f"'{name}'" for name in names) + ")"


colo = field("request", "cf", "colo")
VIEWS = {
    "logs": ("scriptName String, level String, message String, at Int64, colo String",
             f"SELECT scriptName, {field('level', of='l')} AS level, {field('message', kind='Raw', of='l')} AS message, "
             f"{field('timestamp', kind='Int', of='l')} AS at, {colo} AS colo FROM bench.events "
             "ARRAY JOIN JSONExtractArrayRaw(logs) AS l"),
    "errors": ("scriptName String, outcome String, exceptionName String, exceptionMessage String, url String, "
               "status Int64, colo String, at Int64",
               "SELECT scriptName, outcome, JSONExtractString(exceptions, 1, 'name') AS exceptionName, "
               "JSONExtractString(exceptions, 1, 'message') AS exceptionMessage, "
               f"{field('request', 'url')} AS url, {field('response', 'status', kind='Int')} AS status, {colo} AS colo, "
               "eventTimestamp AS at FROM bench.events WHERE outcome != 'ok' OR JSONLength(exceptions) > 0"),
    "requests": ("scriptName String, method String, url String, status Int64, outcome String, colo String, "
                 "country String, at Int64",
                 f"SELECT scriptName, {field('request', 'method')} AS method, {field('request', 'url')} AS url, "
                 f"{field('response', 'status', kind='Int')} AS status, outcome, {colo} AS colo, "
                 f"{field('request', 'cf', 'country')} AS country, eventTimestamp AS at FROM bench.events "
                 "WHERE event != ''"),
}

db = session.Session(place)
db.query("CREATE DATABASE bench")
db.query("CREATE TABLE bench.events (scriptName String, outcome String, eventTimestamp Int64, event String, "
         "logs String, exceptions String, wallTime Int64, cpuTime Int64, truncated Bool, executionModel String, "
         "diagnosticsChannelEvents String) ENGINE = MergeTree ORDER BY (scriptName, eventTimestamp)")
for name, (columns, query) in VIEWS.items():
    db.query(f"CREATE TABLE bench.{name} ({columns}) ENGINE = MergeTree ORDER BY (scriptName, at)")
    db.query(f"CREATE MATERIALIZED VIEW bench.to_{name} TO bench.{name} AS {query}")
db.query("CREATE MATERIALIZED VIEW bench.metrics ENGINE = AggregatingMergeTree ORDER BY (scriptName, method, hour) AS "
         "SELECT scriptName, method, toStartOfHour(fromUnixTimestamp64Milli(at)) AS hour, "
         "countState() AS requests, avgState(status) AS avgStatus, avgState(outcome != 'ok') AS errorRate "
         "FROM bench.requests GROUP BY scriptName, method, hour")

with open(path, encoding="utf-8") as file:
    lines = list(itertools.islice(file, count))
head = ("INSERT INTO bench.events SETTINGS input_format_json_read_objects_as_strings = 1, "
        "input_format_json_read_arrays_as_strings = 1, input_format_skip_unknown_fields = 0 FORMAT JSONEachRow\n")
inserts = [head + "".join(lines[first:first + COMMIT_ROWS]) for first in range(0, len(lines), COMMIT_ROWS)]
base = resource.getrusage(resource.RUSAGE_SELF)
began = time.monotonic()
for insert in inserts:
    db.query(insert)
took = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_SELF)
kept, requests = (int(db.query(f"SELECT {what}").bytes()) for what in (
    "count() FROM bench.events", "countMerge(requests) FROM bench.metrics"))
assert kept == len(lines) and requests > 0, (kept, requests)
print(json.dumps({
    "phase": "chdb-live", "version": chdb.__version__, "events": len(lines), "seconds": round(took, 3),
    "cpu_seconds": round(used.ru_utime + used.ru_stime - base.ru_utime - base.ru_stime, 3),
    "peak_mib": used.ru_maxrss // 1024}), flush=True)
os._exit(0)  # its shutdown waits for merges
