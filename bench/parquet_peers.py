"""Parquet files whole, beside pyarrow and DuckDB on the same file in the same run: scans of some
columns with two threads, and writing (one thread each, rows in memory, zstd level 1).

    parquet_peers.py PROGRAM FOLDER [FILE…]

Without a file 10 M orders are generated, and flights-3m.parquet of the npm package vega-datasets is
taken from FOLDER if it is there.
"""
import json
import pathlib
import subprocess
import sys
import time

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

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
    took = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took)


def ours(program, *args):
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def scan_pyarrow(path, columns):
    return best(lambda: pq.read_table(path, columns=columns, use_threads=True))


def touch(name, type_):
    """What a query must read every value for; max is answered from statistics."""
    if type_ == "VARCHAR":
        return f'max(strlen("{name}"))'
    if type_.startswith("TIMESTAMP"):
        return f'sum(epoch_us("{name}"))'
    return f'count_if("{name}")' if type_ == "BOOLEAN" else f'sum("{name}")'


def scan_duckdb(connection, path, columns):
    described = connection.sql(f"describe select * from '{path}'").fetchall()
    types = {row[0]: row[1] for row in described}
    parts = ", ".join(touch(name, types[name]) for name in columns)
    return best(lambda: connection.sql(f"select {parts} from '{path}'").fetchall())


def report(title, rows):
    print(f"\n{title}")
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(c.ljust(w) if k == 0 else c.rjust(w)
                               for k, (c, w) in enumerate(zip(row, widths))))


def bench(program, folder, path):
    connection = duckdb.connect(config={"threads": THREADS})
    names = pq.read_schema(path).names
    rows = [("scan of", "parquedb ms", "pyarrow ms", "DuckDB ms", "ratio to the best")]
    for columns in [[name] for name in names] + [names[:3], names]:
        mine = ours(program, "scan", path, THREADS, *columns)["seconds"]
        arrow, duck = scan_pyarrow(path, columns), scan_duckdb(connection, path, columns)
        label = columns[0] if len(columns) == 1 else f"{len(columns)} columns"
        rows.append((label, f"{mine * 1e3:.1f}", f"{arrow * 1e3:.1f}", f"{duck * 1e3:.1f}",
                     f"{mine / min(arrow, duck):.2f}x"))
    report(f"{path.name}, {THREADS} threads, warm", rows)
    table = pq.read_table(path)
    out = folder / "out.parquet"
    rows = [("write", "ms", "MiB")]
    for profile in ("compatible", "compact"):
        found = ours(program, "write", path, out, profile)
        rows.append((f"parquedb {profile}", f"{found['seconds'] * 1e3:.0f}",
                     f"{found['bytes'] / 2**20:.2f}"))
        check = pq.read_table(out)
        if check.num_rows != table.num_rows:
            sys.exit(f"{profile}: {check.num_rows} rows")
    took = best(lambda: pq.write_table(table, out, compression="zstd"), 3)
    rows.append(("pyarrow", f"{took * 1e3:.0f}", f"{out.stat().st_size / 2**20:.2f}"))
    out.unlink()
    report(f"{path.name}, one thread", rows)


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    pa.set_cpu_count(THREADS)
    files = [pathlib.Path(name) for name in sys.argv[3:]]
    if not files:
        orders = folder / "orders.parquet"
        if not orders.exists():
            duckdb.sql(ORDERS.format(rows=10_000_000, path=orders))
        files = [path for path in (folder / "flights-3m.parquet", orders) if path.exists()]
    for path in files:
        bench(program, folder, path)


main()
