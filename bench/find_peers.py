"""Questions to a table of orders or flights, beside DuckDB and pyarrow on the same data files in
the same run, two threads each.

    find_peers.py PROGRAM orders|flights DATABASE

Warm is the best of five runs; cold is one with the files dropped from memory before, and nothing
kept by whoever asks. What we count is asked of the others as a count, what we print as JSON they
fetch as Arrow tables. CPU time (user and system) is the steadier figure on a machine that others use too."""
import glob
import json
import os
import resource
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from measure import timed

THREADS = 2
field = pc.field


def amount(text):
    return pa.scalar(text, pa.string()).cast(pa.decimal128(12, 2))


def first_rows(data, count, keys, where=None):
    """Whole rows of the first by `keys`: the keys of all are sorted, those rows are fetched."""
    names = [name for name, _ in keys]
    if where is not None:  # positions are those of the filtered rows: all columns at once
        table = data.to_table(filter=where)
        return table.take(pc.select_k_unstable(table, k=count, sort_keys=keys))
    table = data.to_table(columns=names)
    return data.take(pc.select_k_unstable(table, k=count, sort_keys=keys))


def grouped(data, keys, value):
    return data.to_table(columns=[*keys, value]).group_by(keys).aggregate(
        [(value, "count"), (value, "sum"), (value, "max")])


def orders(one_id):
    """Question: what DuckDB is asked, and what pyarrow does with the dataset."""
    one = (field("total") >= amount("500")) & (field("total") < amount("510"))
    return {
        "count, every row tested": (
            "select count(*) from t where quantity <> 5 and total >= 2.5",
            lambda d: d.count_rows(filter=(field("quantity") != 5) &
                                   (field("total") >= amount("2.5")))),
        "count, 1 %": ("select count(*) from t where total >= 500 and total < 510",
                       lambda d: d.count_rows(filter=one)),
        "count, by text": (
            "select count(*) from t where status = 'paid' and region in ('AT', 'DE')",
            lambda d: d.count_rows(filter=(field("status") == "paid") &
                                   field("region").isin(["AT", "DE"]))),
        "count, range of ids": (
            "select count(*) from t where \"$id\" >= 'o000100000' and \"$id\" < 'o000110000'",
            lambda d: d.count_rows(filter=(field("$id") >= "o000100000") &
                                   (field("$id") < "o000110000"))),
        "all columns, 0.001 %": ("select * from t where total = 777.77",
                                 lambda d: d.to_table(filter=field("total") == amount("777.77"))),
        "3 columns, 1 %": (
            "select customer, total, placedAt from t where total >= 500 and total < 510",
            lambda d: d.to_table(columns=["customer", "total", "placedAt"], filter=one)),
        "first 10 by total": (
            "select * from t order by total desc, \"$id\" limit 10",
            lambda d: first_rows(d, 10, [("total", "descending"), ("$id", "ascending")])),
        "first 10 by $id": ("select * from t order by \"$id\" limit 10",
                            lambda d: first_rows(d, 10, [("$id", "ascending")])),
        "last 100 of a state by time": (
            "select * from t where status = 'paid' order by placedAt desc, \"$id\" limit 100",
            lambda d: first_rows(d, 100, [("placedAt", "descending"), ("$id", "ascending")],
                                 field("status") == "paid")),
        "get by id, again": (f"select * from t where \"$id\" = '{one_id}'",
                             lambda d: d.to_table(filter=field("$id") == one_id)),
        "group by two texts": (
            "select status, region, count(*), sum(total), max(total) from t group by all",
            lambda d: grouped(d, ["status", "region"], "total")),
    }


def flights(one_id):
    one = (field("delay") >= 105) & (field("delay") < 130)
    return {
        "count, every row tested": (
            "select count(*) from t where delay <> 5 and distance >= 100",
            lambda d: d.count_rows(filter=(field("delay") != 5) & (field("distance") >= 100))),
        "count, 1 %": ("select count(*) from t where delay >= 105 and delay < 130",
                       lambda d: d.count_rows(filter=one)),
        "count, by text": (
            "select count(*) from t where origin = 'ATL' and destination in ('JFK', 'LAX')",
            lambda d: d.count_rows(filter=(field("origin") == "ATL") &
                                   field("destination").isin(["JFK", "LAX"]))),
        "all columns, 0.001 %": ("select * from t where delay = 331",
                                 lambda d: d.to_table(filter=field("delay") == 331)),
        "3 columns, 1 %": (
            "select date, origin, delay from t where delay >= 105 and delay < 130",
            lambda d: d.to_table(columns=["date", "origin", "delay"], filter=one)),
        "first 10 by delay": (
            "select * from t order by delay desc, \"$id\" limit 10",
            lambda d: first_rows(d, 10, [("delay", "descending"), ("$id", "ascending")])),
        "last 100 of an airport by time": (
            "select * from t where origin = 'ATL' order by date desc, \"$id\" limit 100",
            lambda d: first_rows(d, 100, [("date", "descending"), ("$id", "ascending")],
                                 field("origin") == "ATL")),
        "get by id, again": (f"select * from t where \"$id\" = '{one_id}'",
                             lambda d: d.to_table(filter=field("$id") == one_id)),
        "group by two texts": (
            "select origin, destination, count(*), sum(delay), max(delay) from t group by all",
            lambda d: grouped(d, ["origin", "destination"], "delay")),
    }


def forget(files):
    """The next read comes from the disk."""
    for name in files:
        number = os.open(name, os.O_RDONLY)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)


def measure(files, open_, ask, runs=5):
    """Cold wall, best wall, best CPU, all ms; `open_` gives what `ask` is called with."""
    forget(files)
    cold = timed(lambda: ask(open_()))[0]
    opened = open_()
    took = [timed(lambda: ask(opened)) for _ in range(runs)]
    return cold, min(wall for wall, _ in took), min(cpu for _, cpu in took)


def connect(files):
    connection = duckdb.connect(config={"threads": THREADS})
    connection.sql(f"create view t as select * from read_parquet({files!r})")
    return connection


def shown(ms):
    return f"{ms:,.1f}" if ms >= 1 else f"{ms:.3f}"


def table_of(questions, ours, files):
    rows = [("question", "rows", "parquedb ms", "(CPU)", "cold", "DuckDB ms", "(CPU)", "cold",
             "pyarrow ms", "(CPU)", "cold", "to DuckDB", "CPU", "cold")]
    for name, (sql, arrow) in questions.items():
        mine = ours[name]
        duck = measure(files, lambda: connect(files),
                       lambda c: c.sql(sql).to_arrow_table())
        theirs = measure(files, lambda: ds.dataset(files), arrow, runs=3)
        cold = mine.get("cold_ms")
        rows.append((name, f"{mine['rows']:,}", shown(mine["ms"]), f"({shown(mine['cpu_ms'])})",
                     shown(cold) if cold else "", shown(duck[1]), f"({shown(duck[2])})",
                     shown(duck[0]), shown(theirs[1]), f"({shown(theirs[2])})", shown(theirs[0]),
                     f"{mine['ms'] / duck[1]:.2f}x", f"{mine['cpu_ms'] / max(duck[2], 1e-3):.2f}x",
                     f"{cold / duck[0]:.2f}x" if cold else ""))
    return rows


def main():
    program, kind, database = sys.argv[1:]
    entry = {"orders": "Order", "flights": "Flight"}[kind]
    files = sorted(glob.glob(f"{database}/{entry}/data/*.parquet"))
    os.sync()
    pa.set_cpu_count(THREADS)
    done = subprocess.run([program, "ask", kind, database], capture_output=True, text=True,
                          check=True)
    ours = {line["question"]: line for line in map(json.loads, done.stdout.splitlines())}
    again = ours["get by id, again"]
    (count,) = connect(files).sql("select count(*) from t").fetchone()
    if count != ours["peak memory"]["rows"]:
        sys.exit(f"the files hold {count} rows, the table {ours['peak memory']['rows']}")
    rows = table_of({"orders": orders, "flights": flights}[kind](again["id"]), ours, files)
    memory = ours["peak memory"]
    print(f"\n{memory['rows']:,} {kind} in {len(files)} files, {THREADS} threads")
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(c.ljust(w) if k == 0 else c.rjust(w)
                               for k, (c, w) in enumerate(zip(row, widths))))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory: {memory['mib']:,.0f} MiB, of the peers together {used:,.0f} MiB")
    first = ours["get by id, first"]
    print(f"  get by id: {first['ms'] * 1e3:,.0f} us p50 at first, "
          f"{again['ms'] * 1e3:,.0f} us again, p99 {again['p99_ms'] * 1e3:,.0f} us")


main()
