"""Every table of a database, opened by pyiceberg after each checkpoint, has the rows that the
command prints: the tail worker example in three parts, with a view whose rows change."""
import datetime
import json
import os
import subprocess
import tempfile
from decimal import Decimal

from interop import check, equal, finish
from pyiceberg.table import StaticTable

project = os.environ["PQ_PROJECT_DIR"]
command = os.path.join(os.environ["PQ_BUILD_DIR"], "parquedb")
example = os.path.join(project, "examples", "tail-worker")
folder = tempfile.TemporaryDirectory()
root = os.path.join(folder.name, "db")
tables = {"TailEvents": "TailEvents"} | {
    view: f"_views/{view}"
    for view in ("WorkerLogs", "WorkerErrors", "WorkerRequests", "EndpointMetrics")}


def run(*arguments, given=None):
    result = subprocess.run([command, "--db", root, "--format", "ndjson", *arguments],
                            input=given, capture_output=True, text=True, check=False)
    check(result.returncode == 0, "parquedb " + " ".join(arguments[:2]), result.stderr[-500:])
    return result.stdout


def same(stored, printed):
    """A value of the table and the same one as JSON. Variants are JSON text in the table."""
    if isinstance(stored, datetime.datetime):
        return stored == datetime.datetime.fromisoformat(printed.replace("Z", "+00:00"))
    if isinstance(stored, (datetime.date, datetime.time)):
        return stored.isoformat() == printed
    if isinstance(stored, Decimal):
        return stored == Decimal(str(printed))
    if isinstance(stored, list) and isinstance(printed, list):
        return len(stored) == len(printed) and all(map(same, stored, printed))
    if isinstance(stored, dict) and isinstance(printed, dict):
        return stored.keys() == printed.keys() and all(
            same(stored[key], printed[key]) for key in stored)
    if stored == printed:
        return True
    return isinstance(stored, str) and json.loads(stored) == printed


def difference(stored, printed):
    """The first column of a row that differs, or None. Undeclared fields are members of _extra."""
    extra = stored.pop("_extra", None)
    stored.pop("$seq")  # neither it nor $index is printed
    stored.pop("$index", None)
    stored |= {} if extra is None else json.loads(extra)
    for key in stored.keys() | printed.keys():
        if not same(stored.get(key), printed.get(key)):
            return f"{printed['$id']} {key}: {stored.get(key)!r}, printed {printed.get(key)!r}"
    return None


def open_table(path):
    metadata = f"{root}/{path}/metadata"
    with open(f"{metadata}/version-hint.text", encoding="ascii") as hint:
        return StaticTable.from_metadata(f"{metadata}/v{hint.read()}.metadata.json")


def check_tables(when):
    for name, path in tables.items():
        printed = [json.loads(line) for line in run("find", name).splitlines()]
        table = open_table(path)
        stored = sorted(table.scan().to_arrow().to_pylist(), key=lambda row: row["$id"].encode())
        equal([row["$id"] for row in stored], [row["$id"] for row in printed],
              f"{when}: ids of {name}")
        differences = [d for d in map(difference, stored, printed) if d is not None]
        check(not differences, f"{when}: rows of {name}", differences[:1])
        check(len({row["$id"] for row in stored}) == len(stored), f"{when}: {name} repeats no id")
        summary = table.current_snapshot().summary
        check("parquedb.version" in summary.additional_properties, f"{when}: version of {name}")
        if path != name:
            lineage = json.loads(summary["parquedb.lineage"])
            check(all(seq.startswith("seq-") for seq in lineage["sourceSnapshots"].values()),
                  f"{when}: lineage of {name}", lineage)
            definition = json.loads(table.properties["parquedb.definition"])
            check("$from" in definition, f"{when}: definition of {name}", definition)


with open(os.path.join(example, "events.ndjson"), encoding="utf-8") as file:
    events = file.readlines()
run("init", os.path.join(example, "schema.json5"))
run("checkpoint")
check_tables("empty")
for number, part in enumerate((events[:200], events[200:210], events[210:]), 1):
    run("ingest", "tail", "-", given="".join(part))
    run("view", "refresh", "EndpointMetrics")
    run("checkpoint")
    check_tables(f"part {number}")
finish()
