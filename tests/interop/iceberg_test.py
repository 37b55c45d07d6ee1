"""pyiceberg, pyarrow and DuckDB read the table of iceberg_table.c: every snapshot has the rows,
types and nulls it should have, metrics prune what they may and nothing else, lineage is there."""
import datetime
import decimal
import json
import os
from decimal import Decimal

import duckdb
import pyarrow.parquet
from interop import equal, finish, make_folder
from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, IsNull, LessThan
from pyiceberg.table import StaticTable

decimal.getcontext().prec = 50
UTC = datetime.timezone.utc
COLUMNS = ["$id", "$seq", "flag", "single", "real", "price", "amount", "huge", "day", "at_time",
           "at", "raw", "tags", "nested", "items", "_extra"]


def nested(row):
    if row % 5 == 0:
        return None
    return {"x": row / 2, "y": None if row % 5 == 1 else {"z": f"z{row}"}}


def items(row):
    if row % 6 == 5:
        return None
    return [{"sku": f"sku-{i}", "qty": None if i % 2 else row + i} for i in range(row % 6)]


def row_of(row, has_later):
    micros = 1000001 * row
    values = {
        "$id": f"row-{row:04d}",
        "$seq": row,
        "flag": row % 2 == 0,
        "single": row / 4,
        "real": row * 1e10 + 0.25,
        "price": Decimal(row * 25 - 1000).scaleb(-2),
        "amount": Decimal(row * 1000000007 - 5).scaleb(-4),
        "huge": Decimal((2**63 - 1) * 1000000 * (row - 50)).scaleb(-10),
        "day": datetime.date(1970, 1, 1) + datetime.timedelta(days=20000 + row),
        "at_time": (datetime.datetime.min + datetime.timedelta(microseconds=micros)).time(),
        "at": datetime.datetime(1970, 1, 1, tzinfo=UTC)
        + datetime.timedelta(microseconds=1790000000000000 + micros),
        "raw": b"\0\xff\x80"[: row % 4],
        "tags": None if row % 4 == 0 else [f"tag {row}", None, f"tag {row}"][: row % 4 - 1],
        "nested": nested(row),
        "items": items(row),
        "_extra": {"n": row, "list": [True, None, row + 0.5], "text": f"\u00e4{row}"},
    }
    for i, name in enumerate(COLUMNS):
        if i > 1 and (row + i) % 7 == 0:
            values[name] = None
    if has_later is not None:
        values["later"] = f"later {row}" if has_later else None
    return values


def rows_of(arrow):
    """Rows by id; JSON text parsed, since the order of its keys means nothing."""
    rows = sorted(arrow.to_pylist(), key=lambda row: row["$id"])
    for row in rows:
        if row["_extra"] is not None:
            row["_extra"] = json.loads(row["_extra"])
    return rows


def as_pyiceberg(rows):
    """pyiceberg 0.12 rebuilds lists of structs from their offsets: a null one comes out empty. The
    reads of the bare files below see that they are null."""
    return [{**row, "items": row["items"] or []} for row in rows]


folder, root = make_folder("iceberg_table")
metadata = f"{root}/Orders/metadata"
with open(f"{metadata}/version-hint.text", "rb") as file:
    hint = file.read()
equal(hint, b"5", "the hint is the number and nothing else")
table = StaticTable.from_metadata(f"{metadata}/v5.metadata.json")

# What each snapshot holds. Dead rows: 3, 7 and 100. `later` exists from the fourth on, and has
# values in what was written since.
def live(first, last):
    return [row for row in range(first, last) if row not in (3, 7, 100)]


wanted = [
    [row_of(row, None) for row in range(0, 100)],
    [row_of(row, None) for row in range(0, 150)],
    [row_of(row, None) for row in live(0, 150)],
    [row_of(row, row >= 150) for row in live(0, 160)],
    [row_of(row, row < 100 or row >= 150) for row in live(0, 160)],
]
snapshots = sorted(table.snapshots(), key=lambda snapshot: snapshot.sequence_number)
equal(len(snapshots), 5, "five snapshots")
for number, (snapshot, rows) in enumerate(zip(snapshots, wanted), 1):
    got = rows_of(table.scan(snapshot_id=snapshot.snapshot_id).to_arrow())
    equal(got, as_pyiceberg(rows), f"pyiceberg: rows of snapshot {number}")
    summary = snapshot.summary
    equal(summary["parquedb.version"], str(number), f"version of snapshot {number}")
    equal(json.loads(summary["parquedb.lineage"]), {"sources": {"Carts": number}},
          f"lineage of snapshot {number}")
equal([snapshot.summary.operation.value for snapshot in snapshots],
      ["append", "append", "delete", "append", "replace"], "operations")
equal(table.properties["parquedb.definition"], '{"$from":"Carts"}', "definition")
equal(table.current_snapshot().summary["total-records"], "158", "records without delete files")

schema = table.schema()
equal({schema.find_column_name(i) for i in schema.identifier_field_ids}, {"$id"}, "identifier")
equal([str(field.field_type) for field in schema.fields],
      ["string", "long", "boolean", "float", "double", "decimal(9, 2)", "decimal(18, 4)",
       "decimal(38, 10)", "date", "time", "timestamptz", "binary", "list<string>",
       "struct<16: x: optional double, 17: y: optional struct<18: z: optional string>>",
       "list<struct<21: sku: required string, 22: qty: optional long>>", "string", "string"],
      "types")
equal(str(table.sort_order().fields[0]), "1 ASC NULLS FIRST", "sort order")


def planned(row_filter):
    return sorted(task.file.file_path.split("/")[-1] for task in
                  table.scan(row_filter=row_filter).plan_files())


equal(planned(EqualTo("$id", "row-0120")), ["2.parquet"], "text bounds prune")
equal(planned(GreaterThanOrEqual("price", Decimal("27.50"))), ["4.parquet"], "decimal bounds prune")
equal(planned(LessThan("day", datetime.date(2024, 10, 4))), [], "date bounds prune")
equal(planned(GreaterThanOrEqual("at", "2026-09-21T14:15:00+00:00")),
      ["2.parquet", "4.parquet"], "timestamp bounds prune")
equal(planned(LessThan("huge", Decimal("-40000000000000000.0000000000"))), ["5.parquet"],
      "bounds of wide decimals prune")
equal(planned(IsNull("$seq")), [], "null counts prune")
equal(rows_of(table.scan(row_filter=And(GreaterThanOrEqual("$seq", 99),
                                        LessThan("$seq", 102))).to_arrow()),
      as_pyiceberg([row for row in wanted[4] if row["$seq"] in (99, 101)]),
      "a filter finds its rows")

manifests = table.inspect.manifests().to_pylist()
equal(sorted((m["content"], m["added_data_files_count"] + m["added_delete_files_count"],
              m["deleted_data_files_count"] + m["deleted_delete_files_count"])
             for m in manifests),
      [(0, 1, 0), (0, 1, 0), (0, 1, 1), (1, 1, 1)], "manifests follow the change")
for entry in table.inspect.files().to_pylist():
    name = entry["file_path"].split("/")[-1]
    path = f"{root}/Orders/data/{name}"
    footer = pyarrow.parquet.ParquetFile(path).metadata
    equal(entry["record_count"], footer.num_rows, f"{name}: record count")
    with open(path, "rb") as file:
        equal(entry["file_size_in_bytes"], len(file.read()), f"{name}: file size")
    sizes = dict(entry["column_sizes"])
    stored = sum(footer.row_group(g).column(c).total_compressed_size
                 for g in range(footer.num_row_groups) for c in range(footer.num_columns))
    equal(sum(sizes.values()), stored, f"{name}: column sizes")
    if entry["content"] == 0:
        equal(len(entry["split_offsets"]), footer.num_row_groups, f"{name}: split offsets")

# The data files without the table: the same rows, dead ones included.
for name, rows in (("5", [row_of(row, True) for row in live(0, 100)]),
                   ("2", [row_of(row, None) for row in range(100, 150)])):
    path = f"{root}/Orders/data/{name}.parquet"
    equal(rows_of(pyarrow.parquet.read_table(path)), rows, f"pyarrow: rows of {name}.parquet")
    relation = duckdb.sql(f"SELECT * REPLACE (CAST(_extra AS VARCHAR) AS _extra) FROM '{path}'")
    got = relation.to_arrow_table() if hasattr(relation, "to_arrow_table") else relation.arrow()
    equal(rows_of(got), rows, f"DuckDB: rows of {name}.parquet")
# ClickHouse reads the folder as it stands, by its version hint and with the delete files.
try:
    import chdb
except ImportError:
    print("# chDB is not installed: ClickHouse was not asked")
else:
    os.chdir(root)  # the only place where it may read files
    source = f"icebergLocal('{root}/Orders')"
    answer = chdb.query(f"SELECT count(), sum(`$seq`), count(later), countIf(isNull(price)), "
                        f"sum(amount), max(at) FROM {source} FORMAT JSONCompactEachRow")
    last = wanted[4]
    amounts = sum(row["amount"] for row in last if row["amount"] is not None)
    equal(json.loads(str(answer))[:4],
          [len(last), sum(row["$seq"] for row in last),
           sum(row["later"] is not None for row in last), sum(row["price"] is None for row in last)],
          "ClickHouse: counts and sums")
    equal(Decimal(str(json.loads(str(answer), parse_float=Decimal)[4])), amounts,
          "ClickHouse: sum of decimals")
    equal(str(chdb.query(f"SELECT count() FROM {source} WHERE `$id` = 'row-0120'")).strip(), "1",
          "ClickHouse: a filter finds its row")
finish()
