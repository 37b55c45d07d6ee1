"""Parquet files whole, beside pyarrow and DuckDB on the same file in the same run: scans of some
columns with two threads, and writing (one thread each, rows in memory, zstd level 1).

    parquet_peers.py PROGRAM FOLDER FLIGHTS

10 M orders are generated in FOLDER; FLIGHTS is flights-3m.parquet of the npm package vega-datasets.
Warm is the best of five runs; cold is one with the file dropped from memory before. CPU time is the
steadier figure on a machine that others use too.
"""
import json
import os
import pathlib
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from measure import timed

ORDERS = """copy (select 'o' || lpad(i::varchar, 8, '0') as "$id", i as seq,
  timestamp '2025-01-01' + to_microseconds(i * 3153600 + (hash(i) % 1000000)::bigint) as createdAt,
  'c' || (hash(i * 7) % 100000)::varchar as customer,
  ['pending', 'paid', 'shipped', 'delivered', 'returned'][1 + (hash(i * 3) % 5)::int] as status,
  ((hash(i * 11) % 100000) / 100.0)::decimal(10,2) as total, (hash(i * 13) % 20)::int as items,
  case when hash(i * 17) % 10 = 0 then null else (hash(i * 17) % 1000000)::double / 7 end as weight,
  (hash(i * 19) % 3 = 0) as express
  from range({rows}) t(i)) to '{path}' (format parquet, compression zstd)"""
THREADS = 2


def best(work, runs=5):
    took = [timed(work) for _ in range(runs)]
    return min(wall for wall, _ in took), min(cpu for _, cpu in took)


def cold(path, work):
    number = os.open(path, os.O_RDONLY)
    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(number)
    return timed(work)[0]


def ours(program, *args):
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def touch(name, type_):
    """What a query must read every value for; max is answered from statistics."""
    if type_ == "VARCHAR":
        return f'max(strlen("{name}"))'
    if type_.startswith("TIMESTAMP"):
        return f'sum(epoch_us("{name}"))'
    return f'count_if("{name}")' if type_ == "BOOLEAN" else f'sum("{name}")'


def duckdb_sum(path, columns):
    described = duckdb.sql(f"describe select * from '{path}'").fetchall()
    types = {row[0]: row[1] for row in described}
    parts = ", ".join(touch(name, types[name]) for name in columns)
    return f"select {parts} from '{path}'"


def connect():
    return duckdb.connect(config={"threads": THREADS})


def report(title, rows):
    print(f"\n{title}")
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(c.ljust(w) if k == 0 else c.rjust(w)
                               for k, (c, w) in enumerate(zip(row, widths))))


def scans(program, path):
    names = pq.read_schema(path).names
    rows = [("scan of", "parquedb ms", "(CPU)", "cold", "pyarrow ms", "(CPU)", "cold",
             "DuckDB ms", "(CPU)", "cold", "to the best", "CPU", "MiB")]
    warm = connect()
    for columns in [[name] for name in names] + [names[:3], names]:
        mine = ours(program, "scan", path, THREADS, *columns)
        sql = duckdb_sum(path, columns)
        arrow = lambda: pq.read_table(path, columns=columns, use_threads=True)
        figures = [[mine["seconds"] * 1e3, mine["cpu_seconds"] * 1e3, mine["cold_seconds"] * 1e3]]
        for work, first in ((arrow, arrow), (lambda: warm.sql(sql).fetchall(),
                                             lambda: connect().sql(sql).fetchall())):
            first_ms = cold(path, first)
            figures.append([*best(work), first_ms])
        label = columns[0] if len(columns) == 1 else f"{len(columns)} columns"
        cells = [f"({ms:.1f})" if k == 1 else f"{ms:.1f}"
                 for figure in figures for k, ms in enumerate(figure)]
        ratios = [figures[0][k] / min(figures[1][k], figures[2][k]) for k in (0, 1)]
        rows.append((label, *cells, *(f"{ratio:.2f}x" for ratio in ratios),
                     f"{mine['peak_mib']:.0f}"))
    report(f"{path.name}, {THREADS} threads", rows)


def writes(program, folder, path):
    table = pq.read_table(path)
    out = folder / "out.parquet"
    found = {profile: ours(program, "write", path, out, profile)
             for profile in ("compatible", "compact")}
    wall, cpu = best(lambda: pq.write_table(table, out, compression="zstd"), 3)
    size = out.stat().st_size
    rows = [("write", "ms", "(CPU)", "MiB", "to pyarrow", "CPU", "size")]
    for profile, mine in found.items():
        rows.append((f"parquedb {profile}", f"{mine['seconds'] * 1e3:.0f}",
                     f"({mine['cpu_seconds'] * 1e3:.0f})", f"{mine['bytes'] / 2**20:.2f}",
                     f"{mine['seconds'] * 1e3 / wall:.2f}x",
                     f"{mine['cpu_seconds'] * 1e3 / cpu:.2f}x", f"{mine['bytes'] / size:.3f}x"))
    rows.append(("pyarrow", f"{wall:.0f}", f"({cpu:.0f})", f"{size / 2**20:.2f}", "", "", ""))
    out.unlink()
    report(f"{path.name}, one thread", rows)


def main():
    program, folder, flights = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    pa.set_cpu_count(THREADS)
    orders = folder / "orders.parquet"
    if not orders.exists():
        duckdb.sql(ORDERS.format(rows=10_000_000, path=orders))
    os.sync()
    for path in (flights, orders):
        scans(program, path)
        writes(program, folder, path)


main()
