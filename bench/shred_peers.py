"""Questions to paths inside the variants of tail events: of files that keep them as columns ($shred), of files that do
not, and of the latter by DuckDB with json_extract_string, in the same run, two threads each.

    shred_peers.py PROGRAM PLAIN SHREDDED        two databases of the same events

Each is the best of five runs, warm. CPU time (user and system) is the steadier figure on a machine that others use too."""
import json
import os
import resource
import subprocess
import sys
import time

import duckdb
from pyiceberg.table import StaticTable

THREADS = 2
URL, COUNTRY = "event->>'$.request.url'", "event->>'$.request.cf.country'"
STATUS, RAY = "(event->>'$.response.status')::bigint", "event->>'$.request.headers.\"cf-ray\"'"
SQL = {
    "count, a url": f"select count(*) from t where ({URL}) = 'https://shop1.example/api/cart?id=77'",
    "count, a country": f"select count(*) from t where ({COUNTRY}) = 'JP'",
    "count, errors": f"select count(*) from t where {STATUS} >= 400",
    "count, a country that is not there": f"select count(*) from t where ({COUNTRY}) = 'XX'",
    "count, an undeclared path": f"select count(*) from t where ({RAY}) like '00ff%'",
    "2 paths of errors in a country":
        f"select \"$id\", {URL}, {COUNTRY} from t where {STATUS} = 404 and ({COUNTRY}) = 'ZA'",
    "a view by country and status, in full":
        f"select {COUNTRY}, {STATUS}, count(*) from t group by all",
}


def best(work, runs=3):
    wall, cpu = [], []
    for _ in range(runs):
        start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        rows = work()
        after = resource.getrusage(resource.RUSAGE_SELF)
        wall.append(time.perf_counter() - start)
        cpu.append(after.ru_utime - used.ru_utime + after.ru_stime - used.ru_stime)
    return min(wall) * 1e3, min(cpu) * 1e3, rows


def ask(program, database):
    done = subprocess.run([program, "ask", database], capture_output=True, text=True, check=True)
    return {line["question"]: line for line in map(json.loads, done.stdout.splitlines())}


def files_of(database):
    """Those of the table as it was last published; others may still be there for somebody who reads them."""
    metadata = f"{os.path.abspath(database)}/TailEvents/metadata"
    with open(f"{metadata}/version-hint.text", encoding="ascii") as hint:
        table = StaticTable.from_metadata(f"{metadata}/v{hint.read()}.metadata.json")
    return [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]


def main():
    program, plain, shredded = sys.argv[1:]
    files = files_of(plain)  # before ours is asked: it merges files meanwhile
    sizes = [sum(map(os.path.getsize, files_of(database))) for database in (plain, shredded)]
    connection = duckdb.connect(config={"threads": THREADS})
    connection.sql(f"create view t as select * from read_parquet({files!r})")
    duck = {name: best(lambda query=query: connection.sql(query).fetchall())
            for name, query in SQL.items()}
    all_rows = connection.sql("select count(*) from t").fetchone()[0]
    with_paths, without = ask(program, shredded), ask(program, plain)
    rows = [("question", "rows", "$shred ms (CPU)", "bytes", "without ms (CPU)", "bytes",
             "DuckDB ms (CPU)", "to DuckDB", "CPU")]
    for name, mine in with_paths.items():
        other = without[name]
        wall, cpu, found = duck[name]
        count = found[0][0] if name.startswith("count") else len(found)
        if not mine["rows"] == other["rows"] == count:
            sys.exit(f"{name}: {mine['rows']}, {other['rows']} and {count} rows")
        rows.append((name, f"{count:,}", f"{mine['ms']:,.1f} ({mine['cpu_ms']:,.1f})",
                     f"{mine['bytes']['read'] / 1e6:,.2f} MB" if "bytes" in mine else "",
                     f"{other['ms']:,.1f} ({other['cpu_ms']:,.1f})",
                     f"{other['bytes']['read'] / 1e6:,.2f} MB" if "bytes" in other else "",
                     f"{wall:,.1f} ({cpu:,.1f})", f"{mine['ms'] / wall:.3f}x",
                     f"{mine['cpu_ms'] / max(cpu, 1e-3):.3f}x"))
    print(f"\n{all_rows:,} tail events, {sizes[0] / 1e6:,.0f} MB in files, "
          f"{sizes[1] / 1e6:,.0f} MB with $shred")
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(c.ljust(w) if k == 0 else c.rjust(w)
                               for k, (c, w) in enumerate(zip(row, widths))))


main()
