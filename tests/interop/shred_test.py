"""A table that keeps paths inside variants as columns ($shred) is the same table to others: pyiceberg
reads the rows that the command prints, with the columns of the schema and no more; in the files
themselves pyarrow and DuckDB find the JSON text whole, and beside it columns that hold what DuckDB
finds at these paths in the text."""
import json
import os
import random
import subprocess
import tempfile

import duckdb
import pyarrow.parquet as parquet
from interop import check, equal, finish
from pyiceberg.expressions import EqualTo
from pyiceberg.table import StaticTable

command = os.path.join(os.environ["PQ_BUILD_DIR"], "parquedb")
folder = tempfile.TemporaryDirectory()
root = os.path.join(folder.name, "db")
schema_path = os.path.join(folder.name, "schema.json5")
SHRED = "['event.url', 'event.status', 'event.any', 'event.deep.x', 'more.k']"
SCHEMA = """{ Hit: { name: 'string', event: 'variant',
  $paths: { 'event.url': 'string', 'event.status': 'int' }%s } }"""


def run(*arguments, given=None):
    result = subprocess.run([command, "--db", root, "--format", "ndjson", *arguments],
                            input=given, capture_output=True, text=True, check=False)
    check(result.returncode == 0, "parquedb " + " ".join(arguments[:2]), result.stderr[-500:])
    return result.stdout


def use_schema(shred):
    with open(schema_path, "w", encoding="utf-8") as file:
        file.write(SCHEMA % shred)
    return schema_path


dice = random.Random(7)
ANY = [1, -5, 2.5, "t", "1", True, None, {"a": [1, None]}, [1, "x"], 10**30, "ü\u0000"]


def row(number):
    event = {"url": f"https://host/{number // 300}", "status": dice.choice([200, 404, "none", None]),
             "any": dice.choice(ANY), "deep": {"x": dice.choice(ANY), "y": 1}}
    for key in list(event):
        if dice.random() < 0.1:
            del event[key]
    made = {"$id": f"{number:06}", "name": f"n{number % 9}", "event": event}
    if number % 3 == 0:
        made["more"] = {"k": number % 5}
    if number % 41 == 0:
        made["event"] = dice.choice(ANY)
    return json.dumps(made, ensure_ascii=False)


def open_table():
    metadata = f"{root}/Hit/metadata"
    with open(f"{metadata}/version-hint.text", encoding="ascii") as hint:
        return StaticTable.from_metadata(f"{metadata}/v{hint.read()}.metadata.json")


def files():
    """Those of the table: others may be there for those who still read what it was."""
    return sorted(task.file.file_path.removeprefix("file://")
                  for task in open_table().scan().plan_files())


def check_table(when):
    printed = [json.loads(line) for line in run("find", "Hit").splitlines()]
    table = open_table()
    stored = sorted(table.scan().to_arrow().to_pylist(), key=lambda one: one["$id"])
    equal([one["$id"] for one in stored], [one["$id"] for one in printed], f"{when}: ids")
    events = [None if one["event"] is None else json.loads(one["event"]) for one in stored]
    equal(events, [one["event"] for one in printed], f"{when}: variants")
    check(not any(":" in key for key in stored[0]), f"{when}: no column more", list(stored[0]))
    few = table.scan(row_filter=EqualTo("name", "n4"), selected_fields=("$id",)).to_arrow()
    equal(few.num_rows, sum(one["name"] == "n4" for one in printed), f"{when}: a filter")


def check_files(when):
    for path in files():
        names = parquet.ParquetFile(path).schema_arrow.names
        kept = [name for name in names if ":" in name]
        equal(kept, ["event.url:typed", "event.status:typed", "event.any:any", "event.any:rest",
                     "event.deep.x:any", "event.deep.x:rest", "_extra.more.k:any",
                     "_extra.more.k:rest"], f"{when}: columns kept")
        ids = [field.metadata[b"PARQUET:field_id"] for field in parquet.read_schema(path)]
        equal(len(set(ids)), len(names), f"{when}: every column has an id of its own")
        urls = duckdb.sql(f"""select count(*) from read_parquet('{path}') where
            json_extract_string(event, '$.url') is distinct from "event.url:typed" """)
        equal(urls.fetchone()[0], 0, f"{when}: DuckDB finds the same texts")
        numbers = duckdb.sql(f"""select count(*) from read_parquet('{path}') where
            case when json_type(event, '$.status') in ('BIGINT', 'UBIGINT')
                 then json_extract(event, '$.status')::bigint end
            is distinct from "event.status:typed" """)
        equal(numbers.fetchone()[0], 0, f"{when}: and the same integers")
        both = duckdb.sql(f"""select count(*) from read_parquet('{path}') where
            "event.any:any" is not null and "event.any:rest" is not null""")
        equal(both.fetchone()[0], 0, f"{when}: a value is in one of two columns")


run("init", use_schema(""))
run("create", "Hit", "-", given="\n".join(row(number) for number in range(3000)))
run("checkpoint")
check_table("as it was")
check(not any(":" in name for name in parquet.ParquetFile(files()[0]).schema_arrow.names),
      "as it was: no path is kept")
run("schema", "apply", use_schema(", $shred: " + SHRED))
check_table("applied")
check_files("applied")
run("create", "Hit", "-", given="\n".join(row(number) for number in range(3000, 9000)))
run("update", "Hit", "{ name: 'n3', 'event.deep.y': 1 }", "{ $set: { 'event.url': 'https://changed/' } }")
run("checkpoint")
check_table("more rows")
check_files("more rows")
explained = json.loads(run("explain", "find", "Hit", "{ 'event.url': 'https://host/7' }",
                           "--select", "event.any"))
equal(explained["columns"], {"first": ["event.url"], "late": ["$id", "event.any"]},
      "the columns are read instead of the text")
check(explained["rows"]["tested"] < 9000, "and leave rows out", explained["rows"])
finish()
