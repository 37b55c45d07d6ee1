"""Questions to a table of orders, beside DuckDB and pyarrow on the same data files in the same run, two threads each.

    find_peers.py PROGRAM DATABASE

Each is the best of five runs, warm; ours also cold, its files dropped from memory before. What we count is asked of the
others as a count, what we print as JSON they fetch as Arrow or rows. CPU time (user and system) is the steadier figure
on a machine that others use too."""
import glob
import json
import resource
import subprocess
import sys
import time

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

THREADS = 2
SQL = {
    "count, every row tested": "select count(*) from t where quantity <> 5 and total >= 2.5",
    "count, 1 %": "select count(*) from t where total >= 500 and total < 510",
    "count, by text": "select count(*) from t where status = 'paid' and region in ('AT', 'DE')",
    "count, range of ids": "select count(*) from t where \"$id\" >= 'o000100000' and \"$id\" < 'o000110000'",
    "all columns, 0.001 %": "select * from t where total = 777.77",
    "3 columns, 1 %": "select customer, total, placedAt from t where total >= 500 and total < 510",
    "first 10 by total": "select * from t order by total desc, \"$id\" limit 10",
    "first 10 by $id": "select * from t order by \"$id\" limit 10",
    "last 100 of a state by time":
        "select * from t where status = 'paid' order by placedAt desc, \"$id\" limit 100",
    "get by id, again": "select * from t where \"$id\" = 'o000012345'",
    "group by two texts":
        "select status, region, count(*), sum(total), max(total) from t group by all",
}


def amount(text):
    return pa.scalar(text, pa.string()).cast(pa.decimal128(12, 2))


def arrow_questions(data):
    total, field = pc.field("total"), pc.field
    one = (total >= amount("500")) & (total < amount("510"))
    return {
        "count, every row tested":
            lambda: data.count_rows(filter=(field("quantity") != 5) & (total >= amount("2.5"))),
        "count, 1 %": lambda: data.count_rows(filter=one),
        "count, by text": lambda: data.count_rows(
            filter=(field("status") == "paid") & field("region").isin(["AT", "DE"])),
        "count, range of ids": lambda: data.count_rows(
            filter=(field("$id") >= "o000100000") & (field("$id") < "o000110000")),
        "all columns, 0.001 %": lambda: data.to_table(filter=total == amount("777.77")),
        "3 columns, 1 %":
            lambda: data.to_table(columns=["customer", "total", "placedAt"], filter=one),
        "get by id, again": lambda: data.to_table(filter=field("$id") == "o000012345"),
        "group by two texts": lambda: data.to_table(columns=["status", "region", "total"]).group_by(
            ["status", "region"]).aggregate([("total", "count"), ("total", "sum"), ("total", "max")]),
    }


def best(work, runs=5):
    wall, cpu = [], []
    for _ in range(runs):
        start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        work()
        after = resource.getrusage(resource.RUSAGE_SELF)
        wall.append(time.perf_counter() - start)
        cpu.append(after.ru_utime - used.ru_utime + after.ru_stime - used.ru_stime)
    return min(wall) * 1e3, min(cpu) * 1e3


def cell(wall, cpu):
    return f"{wall:,.1f} ({cpu:,.1f})" if wall >= 1 else f"{wall:.3f}"


def main():
    program, database = sys.argv[1:]
    files = sorted(glob.glob(f"{database}/Order/data/*.parquet"))
    pa.set_cpu_count(THREADS)
    done = subprocess.run([program, "ask", database], capture_output=True, text=True, check=True)
    ours = {line["question"]: line for line in map(json.loads, done.stdout.splitlines())}
    connection = duckdb.connect(config={"threads": THREADS})
    connection.sql(f"create view t as select * from read_parquet({files!r})")
    arrow = arrow_questions(ds.dataset(files))
    rows = [("question", "rows", "parquedb ms (CPU)", "cold", "DuckDB ms (CPU)", "pyarrow ms (CPU)",
             "to DuckDB", "CPU")]
    for name, mine in ours.items():
        if name not in SQL:
            continue
        duck = best(lambda: connection.sql(SQL[name]).fetch_arrow_table())
        theirs = best(arrow[name]) if name in arrow else None
        cpu = mine.get("cpu_ms", mine["ms"])
        rows.append((name, f"{mine['rows']:,}", cell(mine["ms"], cpu),
                     f"{mine['cold_ms']:,.1f}" if "cold_ms" in mine else "", cell(*duck),
                     cell(*theirs) if theirs else "", f"{mine['ms'] / duck[0]:.2f}x",
                     f"{cpu / max(duck[1], 1e-3):.2f}x"))
    memory = ours["peak memory"]
    print(f"\n{memory['rows']:,} orders in {len(files)} files, {THREADS} threads, warm")
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(c.ljust(w) if k == 0 else c.rjust(w)
                               for k, (c, w) in enumerate(zip(row, widths))))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory: {memory['mib']:,.0f} MiB, of the peers together {used:,.0f} MiB")
    first = ours["get by id, first"]
    print(f"  get by id: {first['ms'] * 1e3:,.0f} us p50 at first, "
          f"{ours['get by id, again']['ms'] * 1e3:,.0f} us again")


main()
