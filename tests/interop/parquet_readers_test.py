"""Goal: files that `parquedb export` writes, in both profiles, hold the same cells for every other
reader that is there: pyarrow, DuckDB, polars, arrow-rs (parquet-wasm), hyparquet, chDB, Spark. What
was put in is the measure. A reader that is not installed is skipped, and said.

The law's random files, with every type nested in every other, are read by the Arrow-based ones."""
import datetime
import decimal
import json
import math
import os
import pathlib
import subprocess
import tempfile

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from interop import check, finish
from parquet_cells import column, comparable

BUILD = pathlib.Path(os.environ["PQ_BUILD_DIR"])
PROJECT = pathlib.Path(os.environ["PQ_PROJECT_DIR"])
ROWS = 12000
FIELDS = """t: 'string', i: 'int', big: 'int', f: 'float', d: 'double', small: 'decimal(9,2)',
  mid: 'decimal(18,4)', wide: 'decimal(38,10)', flag: 'boolean', day: 'date',
  moment: 'timestamp', bytes: 'binary', kind: 'enum(a,b,c)', few: 'string', words: 'string[]',
  numbers: 'int[]', place: { city: 'string!', zip: 'int', tags: 'string[]' }, any: 'variant'"""
SCHEMA = f"{{ T: {{ {FIELDS}, at: 'time' }}, ForSpark: {{ {FIELDS} }} }}"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def row(i):
    """Row i as JSON; every seventh has only its id, so that all columns have nulls."""
    if i % 7 == 3:
        return {"$id": f"r{i:06}"}
    mixed = (i * 2654435761) % 2**32
    return {
        "$id": f"r{i:06}", "t": f"text {mixed:x} \u00e9\u20ac\U0001f600",
        "i": i - 6000, "big": (mixed - 2**31) * 2**31, "f": (mixed % 1000) / 8 - 60,
        "d": mixed / 7 - 1e8, "small": float(f"{mixed % 10**7 / 100 - 40000:.2f}"),
        "mid": float(f"{mixed / 10000:.4f}"), "wide": i * 2**-8, "flag": mixed % 3 == 0,
        "day": (EPOCH + datetime.timedelta(days=i - 3000)).date().isoformat(),
        "at": f"{mixed % 24:02}:{mixed % 60:02}:{i % 60:02}.{mixed % 10**6:06}",
        "moment": (EPOCH + datetime.timedelta(microseconds=mixed * 400000 + i)).isoformat()[:-6]
                  + "Z",
        "bytes": "AAH/" * (i % 4), "kind": "abc"[i % 3], "few": f"value {i % 40}",
        "words": ["", "a", "\u00fc"][:i % 4], "numbers": list(range(i, i + i % 5)),
        "place": {"city": f"c{i % 100}", "zip": None if i % 5 == 0 else i,
                  "tags": None if i % 6 == 0 else ["x"] * (i % 3)},
        "any": [None, True, i, "text", [1, {"k": i}], {"a": i, "b": [None]}][i % 6],
    }


def export(folder):
    """The same rows in both profiles, and once more without times of day, which Spark has not."""
    command = BUILD / "parquedb"
    (folder / "schema.json5").write_text(SCHEMA)
    lines = "\n".join(json.dumps(row(i)) for i in range(ROWS))
    (folder / "rows.ndjson").write_text(lines)
    both = ("compatible", "compact")
    for args in (["init", "schema.json5"], ["import", "T", "rows.ndjson"],
                 ["import", "ForSpark", "rows.ndjson"],
                 *(["export", "T", f"{p}.parquet", "--profile", p] for p in both),
                 *(["export", "ForSpark", f"spark-{p}.parquet", "--profile", p] for p in both)):
        subprocess.run([command, *args], cwd=folder, check=True, capture_output=True, timeout=120)
    return [folder / "compatible.parquet", folder / "compact.parquet"]


# ---- the measure: cells as they were put in -----------------------------------------------------

def days(text):
    return (datetime.date.fromisoformat(text) - EPOCH.date()).days


def micros(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def micros_of_day(text):
    return micros(f"1970-01-01T{text}Z")


WANTED = {
    "f": lambda v: float(v).hex(), "d": lambda v: float(v).hex(),
    "small": lambda v: str(int(decimal.Decimal(repr(v)).scaleb(2))),
    "mid": lambda v: str(int(decimal.Decimal(repr(v)).scaleb(4))),
    "wide": lambda v: str(int(decimal.Decimal(v).scaleb(10))),
    "day": days, "at": micros_of_day, "moment": micros,
    "bytes": lambda v: "x" + "0001ff" * (len(v) // 4),
}


def wanted():
    """By column: what column_json prints of a value, in row order."""
    rows = sorted((row(i) for i in range(ROWS)), key=lambda r: r["$id"])
    full = row(0)
    return {name: [None if r.get(name) is None else WANTED.get(name, lambda v: v)(r[name])
                   for r in rows] for name in full}


def same(reader, name, got, want):
    """One check for a column; the first difference is told."""
    detail = f"{len(got)} rows, not {len(want)}"
    for i, (a, b) in enumerate(zip(got, want)):
        if comparable(a) != comparable(b):
            detail = f"row {i}: {a!r}, not {b!r}"
            break
    else:
        check(len(got) == len(want), f"{reader}: {name}", detail)
        return
    check(False, f"{reader}: {name}", detail)


def text_of(cell):
    """JSON that a reader takes for bytes."""
    return bytes.fromhex(cell[1:]).decode() if cell[0] == "x" else cell


def same_table(reader, table, want):
    for name, cells in want.items():
        got = column(table.column(name))
        if name == "any":
            got = [None if c is None else json.loads(text_of(c)) for c in got]
        same(reader, name, got, cells)


# ---- readers ------------------------------------------------------------------------------------

def read_duckdb(path):
    connection = duckdb.connect()
    connection.sql("set timezone = 'UTC'")
    return connection.sql(f"select * from '{path}'").to_arrow_table()


def read_polars(path):
    import polars
    return polars.read_parquet(path).to_arrow()


def read_wasm(path):
    """arrow-rs: the node script prints an Arrow stream."""
    script = PROJECT / "tests/interop/parquet_wasm.mjs"
    done = subprocess.run(["node", script, path], capture_output=True, check=True, timeout=120)
    return pa.ipc.open_stream(done.stdout).read_all()


def plain(cell):
    """Cells that became views, large texts or dictionaries on the way are the same cells."""
    if isinstance(cell, pa.ChunkedArray) and pa.types.is_dictionary(cell.type):
        return cell.cast(cell.type.value_type)
    return cell


def same_arrow(reader, table, want):
    names = {}
    for name in want:
        cells = plain(table.column(name))
        kind = str(cells.type).replace("_view", "")
        names[name] = cells.cast(kind) if kind in ("string", "binary") else cells
    same_table(reader, pa.table(names), want)


def check_hyparquet(paths, want):
    """hyparquet gives decimals as doubles and JSON parsed; the rest is exact."""
    script = PROJECT / "tests/interop/parquet_read.mjs"
    scale = {"small": 2, "mid": 4, "wide": 10}
    for path in paths:
        done = subprocess.run(["node", script, "--cells", path], capture_output=True, text=True,
                              check=True, timeout=120)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        for name, cells in want.items():
            got = [r.get(name) for r in rows]
            if name in ("f", "d"):
                got = [None if v is None else float(v).hex() for v in got]
            if name in scale:
                cells = [None if v is None else int(v) / 10**scale[name] for v in cells]
                got = [w if v is not None and w is not None and math.isclose(v, w) else v
                       for v, w in zip(got, cells)]
            same(f"hyparquet, {path.stem}", name, got, cells)


def check_chdb(paths, want):
    """ClickHouse: texts come as bytes, a null list is an empty one, groups without null."""
    import chdb
    columns = ("i", "big", "f", "d", "small", "mid", "wide", "flag", "day", "moment", "kind", "few",
               "t", "$id")
    chosen = ", ".join(f'"{name}"' for name in columns)
    for path in paths:
        table = chdb.query(f"select {chosen} from file('{path}', Parquet)", "ArrowTable")
        for name in columns:
            cells = plain(table.column(name))
            if pa.types.is_binary(cells.type):
                cells = cells.cast(pa.string())
            if pa.types.is_timestamp(cells.type):
                cells = cells.cast(pa.timestamp("us", "UTC"))
            got = column(cells)
            same(f"chDB, {path.stem}", name, [bool(c) if name == "flag" and c is not None else c
                                              for c in got], want[name])
        lists = chdb.query(f"select numbers, words from file('{path}', Parquet)", "ArrowTable")
        for name in ("numbers", "words"):
            got = [[v.decode() if isinstance(v, bytes) else v for v in cell]
                   for cell in lists.column(name).to_pylist()]
            same(f"chDB, {path.stem}", name, got, [c or [] for c in want[name]])


def check_spark(folder, want):
    import pyspark
    from pyspark.sql import SparkSession
    session = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
               .config("spark.sql.session.timeZone", "UTC").getOrCreate())
    session.sparkContext.setLogLevel("OFF")
    version = [int(part) for part in pyspark.__version__.split(".")[:2]]
    profiles = ("compatible", "compact") if version >= [4, 2] else ("compatible",)
    for profile in profiles:
        frame = session.read.parquet(str(folder / f"spark-{profile}.parquet"))
        same_arrow(f"Spark, {profile}", frame.toArrow(),
                   {name: cells for name, cells in want.items() if name != "at"})
    session.stop()


def optional(name, work, *args):
    """A reader that may be missing: skipped with a line; anything else that goes wrong fails."""
    try:
        work(*args)
    except ImportError as problem:
        print(f"# SKIP {name}: {problem}")
    except FileNotFoundError as problem:
        print(f"# SKIP {name}: {problem.filename} is not there")
    except Exception as problem:  # whatever a reader raises is the finding
        check(False, f"{name} reads our files", str(problem)[:500])


def check_arrow_readers(paths, want):
    for path in paths:
        same_table(f"pyarrow, {path.stem}", pq.read_table(path), want)
        same_arrow(f"DuckDB, {path.stem}", read_duckdb(path), want)
        optional("polars", lambda: same_arrow(f"polars, {path.stem}", read_polars(path), want))
        optional("parquet-wasm",
                 lambda: same_arrow(f"parquet-wasm, {path.stem}", read_wasm(path), want))


def kinds(type_):
    """All types within a type; groups of metadata and value are variants."""
    names = [type_.field(i).name for i in range(getattr(type_, "num_fields", 0))]
    if names == ["metadata", "value"]:
        return ["variant"]
    members = [type_.field(i).type for i in range(len(names))]
    if hasattr(type_, "value_type"):
        members = [type_.value_type]
    return [str(type_)] + [kind for member in members for kind in kinds(member)]


def columns_without(schema, *unwanted):
    return [f.name for f in schema if not any(k.startswith(unwanted) for k in kinds(f.type))]


def check_random(folder):
    """The law's files, against what pyarrow reads in them (interop/parquet compares that)."""
    for seed in range(1, 21):
        name = folder / str(seed)
        subprocess.run([BUILD / "tests/law/parquet_test", str(seed), name], check=True,
                       stderr=subprocess.DEVNULL)
        path = name.with_suffix(".parquet")
        ours = pq.read_table(path)
        want = {name: column(ours.column(name)) for name in columns_without(ours.schema, "variant")}
        optional("parquet-wasm", lambda: compare(f"parquet-wasm, seed {seed}", read_wasm(path), want))
        # polars refuses files with a VARIANT, has no time beyond a day, takes JSON for bytes.
        if len(want) == len(ours.schema):
            plain_names = columns_without(ours.schema, "time64", "extension<arrow.json")
            want = {name: want[name] for name in plain_names}
            optional("polars", lambda: compare(f"polars, seed {seed}", read_polars(path), want))


def compare(reader, table, want):
    for name, cells in want.items():
        same(reader, name, column(plain(table.column(name))), cells)


def main():
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        paths = export(folder)
        want = wanted()
        check_arrow_readers(paths, want)
        optional("hyparquet", check_hyparquet, paths, want)
        optional("chDB", check_chdb, paths, want)
        optional("Spark", check_spark, folder, want)
        check_random(folder)
    finish()


main()
