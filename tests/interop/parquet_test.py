"""Goal: pyarrow, DuckDB and hyparquet find in our Parquet files what we wrote, and what we read in
foreign files is what pyarrow reads. The programs of law/parquet and unit/parquet/corpus are run
with arguments: they write a random file beside its rows as JSON, or print a file's rows."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from parquet_cells import column, comparable, is_json

BUILD = pathlib.Path(os.environ["PQ_BUILD_DIR"])
PROJECT = pathlib.Path(os.environ["PQ_PROJECT_DIR"])
CORPUS = pathlib.Path(os.environ.get("PQ_CORPUS_DIR", PROJECT / "../shared/corpus"))
SEEDS = range(1, 41)

# pyarrow cannot be the oracle: its Python values overflow.
NOT_PYARROW = {"int96_from_spark.parquet", "nested_structs.rust.parquet"}
# Where readers differ, the rows as the file's own description has them.
KNOWN = {
    "int96_from_spark.parquet": [
        [1704141296123456], [1704070800000000], [253402225200000000], [1735599600000000], [None],
        [9089380393200000000]],
    # A map without values is a list of { key } here, of keys elsewhere.
    "map_no_value.parquet": [
        [[{"key": k, "value": None} for k in keys], [{"key": k} for k in keys], keys]
        for keys in ([1, 2, 3], [4, 5, 6], [7, 8, 9])],
}
REFUSED = {
    "datapage_v1-corrupt-checksum.parquet",
    "rle-dict-uncompressed-corrupt-checksum.parquet",
    "large_string_map.brotli.parquet",
}

failures = []


def check(ok, message):
    if not ok:
        failures.append(message)
        print("FAILED", message[:400])


def rows_of(lines):
    return [json.loads(line) for line in lines.split("\n") if line]


def first_difference(got, want):
    if len(got) != len(want):
        return f"{len(got)} rows, not {len(want)}"
    for i, (a, b) in enumerate(zip(got, want)):
        if comparable(a) != comparable(b):
            return f"row {i}: {a!r}, not {b!r}"
    return None


def compare_table(label, table, schema, rows):
    """`schema` is pyarrow's of the file: it knows what is JSON or a variant; nested ones are not
    looked into."""
    for k, name in enumerate(table.column_names):
        type_ = schema.field(name).type
        if has_variant(type_) or (has_json(type_) and not is_json(type_)):
            continue
        got = column(table.column(k))
        if is_json(type_):
            got = [None if cell is None else json.loads(cell) for cell in got]
        difference = first_difference(got, [row[k] for row in rows])
        check(difference is None, f"{label}, column {name}: {difference}")


def members(type_):
    if hasattr(type_, "value_type"):
        return [type_.value_type]
    return [type_.field(i).type for i in range(getattr(type_, "num_fields", 0))]


def has_json(type_):
    return is_json(type_) or any(has_json(member) for member in members(type_))


def has_variant(type_):
    """Our annotated variants are groups of binary to pyarrow."""
    names = [type_.field(i).name for i in range(getattr(type_, "num_fields", 0))]
    return names == ["metadata", "value"] or any(has_variant(m) for m in members(type_))


def check_statistics(label, path, table):
    """Null counts, and bounds of flat columns, against the values of each row group."""
    meta = pq.read_metadata(path)
    start = 0
    for g in range(meta.num_row_groups):
        group = meta.row_group(g)
        part = table.slice(start, group.num_rows)
        start += group.num_rows
        for c in range(group.num_columns):
            chunk = group.column(c)
            check(chunk.has_offset_index, f"{label}: no offset index for {chunk.path_in_schema}")
            name = chunk.path_in_schema
            if "." not in name:
                check_chunk(label, chunk, part.column(name))


def check_chunk(label, chunk, values):
    stats, name = chunk.statistics, chunk.path_in_schema
    check(stats.null_count == values.null_count, f"{label}: nulls of {name}")
    if not (pa.types.is_integer(values.type) or pa.types.is_string(values.type) or
            pa.types.is_floating(values.type)) or not stats.has_min_max:
        return
    numbers = [v for v in values.to_pylist() if v is not None and v == v]
    low, high = min(numbers), max(numbers)
    if isinstance(low, str):  # bounds may be cut
        check(stats.min <= low and stats.max >= high, f"{label}: bounds of {name}")
    else:
        check(stats.min == low and stats.max == high, f"{label}: bounds of {name}")


def check_duckdb(label, path, schema, rows):
    connection = duckdb.connect()
    connection.sql("set timezone = 'UTC'")
    relation = connection.sql(f"select * from '{path}'")
    wanted = []
    for k, (name, type_) in enumerate(zip(relation.columns, relation.types)):
        if "VARIANT" not in str(type_):
            wanted.append((k, f'"{name}"'))
        elif str(type_) == "VARIANT":
            # DuckDB prints other spellings of numbers: what matters is that it reads them.
            texts = connection.sql(f"select \"{name}\"::json::varchar from '{path}'").fetchall()
            check([t[0] is None or t[0] == "null" for t in texts] == [r[k] is None for r in rows],
                  f"{label}: variants of {name}")
    if not wanted:
        return
    chosen = ", ".join(name for _, name in wanted)
    table = connection.sql(f"select {chosen} from '{path}'").to_arrow_table()
    compare_table(label, table, schema, [[row[k] for k, _ in wanted] for row in rows])


def check_hyparquet(paths):
    """One node process reads all: row counts and null patterns of the outermost values."""
    script = PROJECT / "tests/interop/parquet_read.mjs"
    done = subprocess.run(["node", script, *paths], capture_output=True, text=True)
    check(done.returncode == 0, f"hyparquet: {done.stderr[-500:]}")
    for path, line in zip(paths, done.stdout.split("\n")):
        rows = rows_of(pathlib.Path(path).with_suffix(".json").read_text())
        want = [[cell is None for cell in row] for row in rows]
        check(json.loads(line or "null") == want, f"hyparquet, {pathlib.Path(path).name}")


def check_ours(folder):
    paths = []
    for seed in SEEDS:
        name = folder / str(seed)
        subprocess.run([BUILD / "tests/law/parquet_test", str(seed), name], check=True,
                       stderr=subprocess.DEVNULL)
        path = name.with_suffix(".parquet")
        rows = rows_of(name.with_suffix(".json").read_text())
        table = pq.read_table(path, page_checksum_verification=True)
        check(table.num_rows == len(rows), f"seed {seed}: {table.num_rows} rows")
        compare_table(f"pyarrow, seed {seed}", table, table.schema, rows)
        check_statistics(f"pyarrow, seed {seed}", path, table)
        check_duckdb(f"DuckDB, seed {seed}", path, table.schema, rows)
        paths.append(str(path))
    check_hyparquet(paths)


def with_pyarrow(path):
    return pq.read_table(path, coerce_int96_timestamp_unit="us")


def with_duckdb(path):
    connection = duckdb.connect()
    connection.sql("set timezone = 'UTC'")
    return connection.sql(f"select * from '{path}'").to_arrow_table()


def with_wasm(path):
    """arrow-rs, for the files that one of the others cannot read."""
    script = PROJECT / "tests/interop/parquet_wasm.mjs"
    done = subprocess.run(["node", script, path], capture_output=True)
    if done.returncode != 0:
        raise ValueError(done.stderr.decode().strip().split("\n")[-1])
    return pa.ipc.open_stream(done.stdout).read_all()


def other_readings(path):
    """(reader, table) of those that can read the file, the first one being the measure of types."""
    found = []
    readers = [("pyarrow", with_pyarrow), ("DuckDB", with_duckdb), ("parquet-wasm", with_wasm)]
    for name, read in readers:
        if len(found) == 2 or (name == "pyarrow" and path.name in NOT_PYARROW):
            continue
        try:
            found.append((name, read(path)))
        except (OSError, NotImplementedError, ValueError, duckdb.Error) as problem:
            print(f"    {name} cannot read {path.name}: {str(problem)[:60]}")
    return found


def check_foreign(path):
    program = BUILD / "tests/unit/parquet/corpus_test"
    ours = subprocess.run([program, path], capture_output=True, text=True)
    if path.name in REFUSED:
        check(ours.returncode == 1, f"{path.name} is not refused")
        return
    check(ours.returncode == 0, f"{path.name}: {ours.stderr[-300:]}")
    names, *rows = rows_of(ours.stdout) or [[]]
    if path.name in KNOWN:
        check(rows == KNOWN[path.name], f"{path.name}: {rows}")
        return
    readings = other_readings(path)
    compared = sum(compare_reading(path, names, rows, reading, readings[0][1])
                   for reading in readings)
    check(compared > 0 or not rows, f"{path.name}: nobody to compare with")


def compare_reading(path, names, rows, reading, first):
    """All columns of the first reader, of a further one those with the same type. How many."""
    reader, table = reading
    if table is first:
        check(names == table.column_names or not rows, f"{path.name}: columns {names}")
    compared = 0
    for k in range(min(len(names), table.num_columns)):
        if table.schema.field(k).type != first.schema.field(k).type:
            continue
        difference = first_difference([row[k] for row in rows], column(table.column(k)))
        check(difference is None, f"{reader}, {path.name}, column {names[k]}: {difference}")
        compared += 1
    return compared


def check_pairs():
    """The Iceberg fixtures hold the same rows once for each encoding."""
    by_name = {}
    for path in sorted(CORPUS.glob("iceberg-encodings/*/*.parquet")):
        program = BUILD / "tests/unit/parquet/corpus_test"
        rows = subprocess.run([program, path], capture_output=True, text=True).stdout
        first = by_name.setdefault(path.name, (path, rows))
        check(rows == first[1], f"{path} and {first[0]} differ")


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_ours(pathlib.Path(folder))
    files = sorted([*CORPUS.glob("parquet-testing/data/**/*.parquet"),
                    *CORPUS.glob("parquet-testing/bad_data/ARROW-GH-43605.parquet"),  # readable
                    *CORPUS.glob("iceberg-encodings/*/*.parquet")])
    if not files:
        print(f"    skipped: no corpus at {CORPUS}")
    for path in files:
        check_foreign(path)
    check_pairs()
    print(f"{len(SEEDS)} files of ours, {len(files)} foreign ones, {len(failures)} failures")
    return 1 if failures else 0


sys.exit(main())
