"""DuckDB on the same work: an NDJSON file of tail events into four Parquet files (all of it, and the
three views), two threads. One JSON line.

    duckdb_tail.py json|typed FILE DIRECTORY

json keeps everything: nested fields as JSON. typed reads only what the views need, declared by hand."""
import json
import os
import resource
import sys
import time

import duckdb

mode, path, place = sys.argv[1:4]
os.makedirs(place, exist_ok=True)
db = duckdb.connect()
db.execute("SET threads = 2")

columns = {
    "json": "{scriptName: 'VARCHAR', outcome: 'VARCHAR', eventTimestamp: 'BIGINT', event: 'JSON', "
            "logs: 'JSON[]', exceptions: 'JSON[]', wallTime: 'BIGINT', cpuTime: 'BIGINT', "
            "truncated: 'BOOLEAN', executionModel: 'VARCHAR', diagnosticsChannelEvents: 'JSON'}",
    "typed": "{scriptName: 'VARCHAR', outcome: 'VARCHAR', eventTimestamp: 'BIGINT', event: "
             "'STRUCT(request STRUCT(url VARCHAR, \"method\" VARCHAR, cf STRUCT(colo VARCHAR, country VARCHAR)), "
             "response STRUCT(status BIGINT))', "
             "logs: 'STRUCT(level VARCHAR, message JSON, \"timestamp\" BIGINT)[]', "
             "exceptions: 'STRUCT(\"name\" VARCHAR, message VARCHAR)[]'}",
}[mode]


def field(typed, path):
    """A nested field in both modes."""
    if mode == "typed":
        return typed
    return f"event->>'$.{path}'"


colo = field("event.request.cf.colo", "request.cf.colo")
country = field("event.request.cf.country", "request.cf.country")
url = field("event.request.url", "request.url")
method = field("event.request.method", "request.method")
status = field("event.response.status", "response.status")
if mode == "json":
    status = f"CAST({status} AS BIGINT)"
    level, message, at = "l->>'$.level'", "l->'$.message'", "CAST(l->>'$.timestamp' AS BIGINT)"
    name, text = "exceptions[1]->>'$.name'", "exceptions[1]->>'$.message'"
else:
    level, message, at = "l.level", "l.message", "l.\"timestamp\""
    name, text = "exceptions[1].name", "exceptions[1].message"

began = time.monotonic()
db.execute(f"CREATE TABLE events AS SELECT * FROM read_ndjson('{path}', columns = {columns})")
outputs = {"events": "SELECT * FROM events"} if mode == "json" else {}
outputs |= {
    "logs": f"SELECT scriptName, {level} AS level, {message} AS message, make_timestamp({at} * 1000) AS ts, "
            f"colo FROM (SELECT scriptName, unnest(logs) AS l, {colo} AS colo FROM events)",
    "errors": f"SELECT scriptName, outcome, {name} AS exceptionName, {text} AS exceptionMessage, {url} AS url, "
              f"{status} AS status, {colo} AS colo, make_timestamp(eventTimestamp * 1000) AS ts FROM events "
              "WHERE outcome <> 'ok' OR len(exceptions) > 0",
    "requests": f"SELECT scriptName, {method} AS method, {url} AS url, {status} AS status, outcome, {colo} AS colo, "
                f"{country} AS country, make_timestamp(eventTimestamp * 1000) AS ts FROM events "
                "WHERE event IS NOT NULL",
}
for output, query in outputs.items():
    db.execute(f"COPY ({query}) TO '{place}/{output}.parquet' (FORMAT parquet, COMPRESSION zstd)")
took = time.monotonic() - began
count = db.execute("SELECT count(*) FROM events").fetchone()[0]
print(json.dumps({
    "phase": f"duckdb-{mode}", "version": duckdb.__version__, "events": count, "seconds": round(took, 3),
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
