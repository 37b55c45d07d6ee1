"""docs/format.md describes the files as they are: a reader written from it (stored.py) comes to the
rows that the command prints, from the log alone, and from a root, its data files and what it
carries; and every check of every run and filter holds."""
import datetime
import glob
import json
import os
import subprocess
import tempfile
from decimal import Decimal

import pyarrow.parquet
import stored
from interop import check, equal, finish

command = os.path.join(os.environ["PQ_BUILD_DIR"], "parquedb")
folder = tempfile.TemporaryDirectory()
root = os.path.join(folder.name, "db")
SCHEMA = """{
  P: { name: 'string!', $history: '1d' },
  T: { n: 'int!', f: 'number', ok: 'boolean', price: 'decimal(12,2)', day: 'date',
       at: 'timestamp', text: 'string', tags: 'string[]', p: '-> P', spot: { x: 'int', y: 'int' },
       u: 'string##', $history: '1d' },
  E: { $ingest: 'custom:e', x: 'int!', $history: '1d' },
  ByText: { $from: 'T', $groupBy: ['text'], $compute: { rows: { $count: '*' },
            sum: { $sum: 'price' }, low: { $min: 'n' }, kinds: { $countDistinct: 'p' } } },
  ByUser: { $from: 'T', $groupBy: ['u'], $compute: { rows: { $count: '*' } } },
  Big: { $from: 'T', $filter: { n: { $gte: 900 } } },
}"""


def run(*arguments, given=None):
    result = subprocess.run([command, "--db", root, "--format", "ndjson", *arguments],
                            input=given, capture_output=True, text=True, check=False)
    check(result.returncode == 0, "parquedb " + " ".join(arguments[:2]), result.stderr[-500:])
    return result.stdout


def row(i):
    made = {"$id": f"t{i:05}", "n": i * 37 % 1000, "text": f"word {i % 30}",
            "price": f"{i}.25", "spot": {"x": i, "y": -i}, "tags": ["a", f"b{i % 7}"][:i % 3],
            "day": f"2026-01-{1 + i % 28:02}", "u": f"u{i}"}
    if i % 4:
        made |= {"at": f"2026-02-03T04:05:{i % 60:02}.5Z", "f": i / 8, "ok": i % 2 == 0,
                 "p": f"p{i % 3}"}
    if i % 5 == 0:
        made["more"] = {"k" + str(i % 11): [i, None, True, "text", {"deep": i / 4}]}
    return json.dumps(made)


def make():
    path = os.path.join(folder.name, "schema.json5")
    with open(path, "w", encoding="utf-8") as file:
        file.write(SCHEMA)
    run("init", path)
    run("create", "P", given="".join(json.dumps({"$id": f"p{i}", "name": f"N{i}"}) + "\n"
                                     for i in range(3)))
    run("create", "T", given="\n".join(map(row, range(20))))
    run("create", "T", given="\n".join(map(row, range(20, 6000))))
    run("update", "T", "{ n: { $lt: 40 } }", "{ $inc: { price: 1.5 }, $push: { tags: 'new' } }")
    run("checkpoint")
    run("create", "E", given='{"$id":"e1","x":1,"other":{"a":1.5}}\n{"$id":"e2","x":2}\n')
    run("update", "T", "t00007", "{ $set: { text: 'changed', extra: [1, 'two'] }, $unset: { p: 1 } }")
    run("delete", "T", "{ n: { $gt: 990 } }")
    run("checkpoint")
    run("create", "T", given="\n".join(map(row, range(6000, 6010))))
    run("update", "P", "p1", "{ $set: { name: 'Other' } }")


def printed(name):
    rows = (json.loads(line, parse_float=Decimal) for line in run("find", name).splitlines())
    return {found["$id"]: found for found in rows}


def same(read, shown):
    if read is None or shown is None:
        return read is None and shown is None
    if isinstance(read, datetime.datetime):
        return read == datetime.datetime.fromisoformat(shown.replace("Z", "+00:00"))
    if isinstance(read, datetime.date):
        return read.isoformat() == shown
    if isinstance(read, bool) or isinstance(shown, bool):
        return read is shown
    if isinstance(read, (Decimal, int, float)):
        return Decimal(str(read)) == Decimal(str(shown))
    if isinstance(read, list):
        return len(read) == len(shown) and all(map(same, read, shown))
    if isinstance(read, dict):
        return all(same(read.get(key), shown.get(key)) for key in {**read, **shown})
    return read == shown


def compare(rows, shown, name):
    """Rows by id against those of the command, undeclared fields inline."""
    equal(sorted(rows), sorted(shown), f"{name}: the ids")
    wrong = []
    for key in sorted(rows.keys() & shown.keys()):
        fields = {name: value for name, value in rows[key].items() if name[0] != "_"}
        fields |= rows[key].get("_extra") or {}
        for column in shown[key]:
            if not same(fields.get(column), shown[key][column]):
                wrong.append((key, column, fields.get(column), shown[key][column]))
    check(not wrong, f"{name}: the values of {len(rows)} rows", str(wrong[:3]))


def apply(tables, commits):
    """What the commits leave of each collection, by id."""
    held = {name: {} for name in tables.values()}
    for commit in commits:
        for part in commit.parts:
            rows = held[tables[part.collection]]
            for gone in part.rows[:part.minus]:
                stored.need(rows.pop(gone["$id"], None) == gone, "a row that goes is as it was")
            rows.update((come["$id"], come) for come in part.rows[part.minus:])
    return held


def read_file(path, fields):
    """Rows of a data file, columns found by field id."""
    table = pyarrow.parquet.read_table(path)
    ids = {int(field.metadata[b"PARQUET:field_id"]): field.name for field in table.schema}
    columns = {field["name"]: table[ids[field["id"]]].to_pylist() if field["id"] in ids else None
               for field in fields}
    if columns.get("_extra"):
        columns["_extra"] = [None if text is None else json.loads(text)
                             for text in columns["_extra"]]
    return [{name: values[i] if values else None for name, values in columns.items()}
            for i in range(table.num_rows)]


def read_cut(named, blob, fields, known):
    """A table at its root: live rows of its files, and those it carries."""
    rows = []
    for file in named.get("files", []):
        dead = blob(file["dead"]) if file.get("dead") else b""
        for i, found in enumerate(read_file(os.path.join(root, file["path"]), fields)):
            if i // 8 >= len(dead) or not dead[i // 8] >> i % 8 & 1:
                rows.append(found)
    if named.get("carried"):
        rows += stored.Part(blob(named["carried"]), known).rows
    return {found["$id"]: found for found in rows}


make()
generation = stored.read_tables(root)
tables = {table["id"]: table["name"] for table in generation["tables"] if not table.get("view")}
known = stored.Known(generation["tables"])
commits = stored.read_log(os.path.join(root, "log"), known)
equal([commit.version for commit in commits], list(range(1, len(commits) + 1)), "every version")
held = apply(tables, commits)
for name in tables.values():
    compare(held[name], printed(name), f"log: {name}")

path = sorted(glob.glob(os.path.join(root, "_state", "*.root")))[-1]
facts, blob = stored.read_root(path)
check(os.path.basename(path) == f"{facts['version']:020}.root", "a root's name is its version")
at_cut = apply(tables, [commit for commit in commits if commit.version <= facts["version"]])
for named in facts["tables"]:
    if named["name"] in at_cut:
        fields = generation["tables"][[t["id"] for t in generation["tables"]].index(
            named["id"])]["shapes"][-1]
        cut = read_cut(named, blob, fields, known)
        want = at_cut[named["name"]]
        equal(sorted(cut), sorted(want), f"root: the ids of {named['name']}")
        wrong = [key for key in want if cut.get(key, {}).get("$seq") != want[key]["$seq"] or
                 cut[key].get("version") != want[key].get("version")]
        check(not wrong, f"root: $seq and version of {named['name']}", str(wrong[:3]))

runs = glob.glob(os.path.join(root, "_state", "*.run")) + \
    glob.glob(os.path.join(root, "*", "data", "*.links"))
check(len(runs) > 3, "there are runs", str(runs))
rows_of = {path: stored.read_run(path) for path in runs}
for state in [run for table in facts["tables"] for runs in table.get("state", {}).values()
              for run in runs]:
    found = rows_of[os.path.join(root, "_state", f"{state[0]:020}.run")]
    equal(len(found), state[2], f"the rows of run {state[0]}")
beside = glob.glob(os.path.join(root, "**", "data", "*.ids"), recursive=True)
check(len({os.path.dirname(path) for path in beside}) == 2, "filters of a collection and a view")
for path in beside:
    ids = pyarrow.parquet.read_table(path[:-4], columns=["$id"])["$id"].to_pylist()
    equal(stored.check_ids(path, ids), len(ids), "a filter of ids is of its file")


def check_view(name, is_old):
    """What the newest root has of a view is what the command prints."""
    newest = sorted(glob.glob(os.path.join(root, "_state", "*.root")))[-1]
    at_root, of_root = stored.read_root(newest)
    own = [table for table in at_root["tables"] if table["name"] == name][0]
    equal(own.get("old", 0), is_old, f"root: are the contents of {name} old?")
    columns = stored.Known([{"id": own["id"], "shapes": [own["columns"]]}])
    names = [table for table in at_root["tables"] if table["id"] == own["namesOf"]] if not is_old \
        else [own]
    columns.names[own["id"]] = stored.read_names(of_root(names[0]["names"]))[0]
    rows = read_cut(own, of_root, own["columns"], columns)
    for found in rows.values():
        for column in own["columns"]:
            found.setdefault(column["name"])
    compare(rows, printed(name), f"root: {name}")
    check(len(rows) > 3, f"{name} has rows", str(len(rows)))


check_view("Big", 0)
text = run("schema", "show").replace("$filter: { n: { $gte: 900 } }", "$compute: { s: "
                                     "{ $sum: { $add: [9223372036854775807, 0] } } }")
with open(os.path.join(folder.name, "next.json5"), "w", encoding="utf-8") as file:
    file.write(text)
failed = subprocess.run([command, "--db", root, "schema", "apply", file.name], check=False,
                        capture_output=True, text=True)
equal(failed.returncode, 1, "a view whose contents do not fit")
run("create", "T", given=row(6011))
run("checkpoint")
check_view("Big", 1)
finish()
