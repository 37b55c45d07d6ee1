"""Goal: what export writes, import takes back, in all three formats; CSV as RFC 4180 has it, types
declared or inferred; bad rows are refused with their line and kept; nothing half-written remains.
"""
import csv
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

COMMAND = pathlib.Path(os.environ["PQ_BUILD_DIR"]) / "parquedb"
SCHEMA = """{
  Item: { n: 'int', d: 'decimal(10,2)', f: 'double', b: 'boolean', t: 'timestamp', day: 'date', s: 'string',
          tags: 'string[]', at: { city: 'string', zip: 'string' }, v: 'variant', x: 'binary' },
  Copy: { n: 'int', d: 'decimal(10,2)', f: 'double', b: 'boolean', t: 'timestamp', day: 'date', s: 'string',
          tags: 'string[]', at: { city: 'string', zip: 'string' }, v: 'variant', x: 'binary' },
  Odd: { $from: 'Item', $filter: { $expr: { $eq: [{ $mod: ['$n', 2] }, 1] } } },
  Loose: {},
  Strict: { $strict: true, n: 'int!' },
}"""
failures = []
checks = 0


def check(held, what):
    global checks
    checks += 1
    if not held:
        failures.append(what)
        print(f"FAILED {what}"[:1500])


def run(*args, folder, stdin=b"", code=0):
    done = subprocess.run([COMMAND, *args], cwd=folder, input=stdin, capture_output=True,
                          timeout=120, check=False)
    out, err = done.stdout.decode(), done.stderr.decode(errors="replace")
    check(done.returncode == code, f"{args}: {done.returncode}, not {code}: {out[-200:]} {err[-300:]}")
    return out, err


def find(name, folder):
    out, _ = run("find", name, folder=folder)
    rows = [json.loads(line) for line in out.splitlines()]
    for row in rows:
        for key in ("$type", "createdAt", "updatedAt", "version"):
            row.pop(key, None)
    return rows


def make(root, name):
    folder = root / name
    folder.mkdir()
    (folder / "schema.json5").write_text(SCHEMA)
    run("init", "schema.json5", folder=folder)
    return folder


def item(i):
    row = {"$id": f"i{i:04}", "n": i, "d": i / 4, "f": i * 1.1, "b": i % 2 == 0,
           "t": f"2026-01-{i % 28 + 1:02}T10:00:00.{i % 1000:03}Z", "day": f"2026-02-{i % 28 + 1:02}",
           "s": ["plain", 'with "quotes"', "a, comma", "two\nlines", "", " ü 🎣 "][i % 6],
           "tags": ["a", "b,c"][: i % 3], "at": {"city": "Bonn", "zip": "01234"},
           "v": [1, "x", None, {"k": [1, 2]}, [], 2.5][i % 6], "x": "AAEC"}
    if i % 5 == 0:
        row.update({"n": None, "s": None, "at": None, "x": None})
    if i % 7 == 0:
        row["undeclared"] = {"deep": i}
    return row


def test_round_trip(root):
    folder = make(root, "trip")
    lines = "".join(json.dumps(item(i)) + "\n" for i in range(3000)).encode()
    run("ingest", "Item", "-", folder=folder, stdin=lines)
    run("checkpoint", folder=folder)
    run("ingest", "Item", "-", folder=folder, stdin=json.dumps(item(5000)).encode())
    whole = find("Item", folder)
    for ending in ("ndjson", "csv", "parquet"):
        path = f"out.{ending}"
        _, err = run("export", "Item", path, folder=folder)
        check("3,001 rows" in err, f"export says {err}")
        other = make(root, f"copy-{ending}")
        out, _ = run("import", "Copy", str(folder / path), folder=other)
        check(json.loads(out)["accepted"] == 3001, f"{ending}: {out}")
        got = find("Copy", other)
        want = whole
        if ending == "csv":  # which has only the declared fields
            want = [{k: v for k, v in row.items() if k != "undeclared"} for row in whole]
        difference = next(((a, b) for a, b in zip(got, want) if a != b), None)
        check(len(got) == len(want) and difference is None, f"{ending}: {difference}")
    with open(folder / "out.csv", newline="", encoding="utf-8") as file:
        records = list(csv.reader(file))
    check(len(records) == 3002 and all(len(r) == 12 for r in records), "Python reads the CSV")
    run("export", "Odd", "odd.parquet", folder=folder)
    out, _ = run("parquet", "odd.parquet", "--check", folder=folder)
    check(json.loads(out)["problems"] == 0, f"{out}")
    run("export", "Item", "small.parquet", "--profile", "compact", folder=folder)
    for name in ("out.parquet", "small.parquet"):
        out, _ = run("parquet", name, folder=folder)
        columns = {c["path"]: c for c in json.loads(out)["rowGroups"][0]["columns"]}
        check(columns["$id"]["bloomBytes"] > 0 and columns["n"]["bloomBytes"] == 0, f"blooms: {name}")
        deltas = "DELTA" in columns["$id"]["encodings"]
        check(deltas == (name == "small.parquet"), f"{name}: {columns['$id']['encodings']}")
        out, _ = run("parquet", name, "--check", folder=folder)
        check(json.loads(out)["problems"] == 0, f"{name}: {out}")
    check((folder / "small.parquet").stat().st_size < (folder / "out.parquet").stat().st_size, "compact")
    rows = [run("parquet", name, "--rows", folder=folder)[0] for name in ("out.parquet", "small.parquet")]
    check(rows[0] == rows[1], "both profiles hold the same rows")
    run("export", "Item", "x.parquet", "--profile", "tiny", folder=folder, code=2)
    out, _ = run("export", "Odd", "-", "--format", "csv", folder=folder)
    odd = sum(row["n"] is not None and row["n"] % 2 == 1 for row in whole)
    check(out.count("\r\n") == 1 + odd, f"{out.count(chr(13))} lines")
    check(not list(folder.glob("*.tmp")), "a temporary file remains")
    for args, words in ((["Nope", "x.csv"], "Nope"), (["Item", "no/x.csv"], "no"),
                        (["Item", "/proc/x.csv"], "x.csv")):
        _, err = run("export", *args, folder=folder, code=1)
        check(words in err, f"{args}: {err}")
    _, err = run("export", "Item", "x.bin", folder=folder, code=2)
    check("--format ndjson, csv or parquet" in err, err)
    check(not (folder / "x.csv").exists(), "a failed export left a file")


CSV = """\ufeffname;when;count;ok;zip;note
ann;2026-01-15;1;true;01234;"a ""quoted"" word; and more"
bob;;2.5;false;00501;"two
lines"

"";2026-01-16;-3;;99;5" pipe
"""


def test_csv(root):
    folder = make(root, "csv")
    (folder / "in.csv").write_text(CSV)
    run("import", "Loose", "in.csv", folder=folder)
    rows = sorted(find("Loose", folder), key=lambda row: row["count"])
    for row in rows:
        row.pop("$id")
    check([row.get("name") for row in rows] == ["", "ann", "bob"], f"{rows}")
    check([row["count"] for row in rows] == [-3, 1, 2.5], f"{rows}")
    check([row.get("ok") for row in rows] == [None, True, False], f"{rows}")
    check([row["zip"] for row in rows] == ["99", "01234", "00501"], f"{rows}")
    check([row["note"] for row in rows] == ['5" pipe', 'a "quoted" word; and more', "two\nlines"],
          f"{rows}")
    (folder / "typed.csv.gz").write_bytes(gzip.compress(
        b"$id,n,d,b,t,tags,v,s\r\n1,007,.5,yes,2026-01-15 10:00:00,\"[\"\"a\"\"]\",\"{\"\"a\"\":1}\",007\r\n"
        b"2,+5,-1.25,0,1768471200000,,text,\"\"\r\n"))
    run("import", "Item", "typed.csv.gz", folder=folder)
    rows = find("Item", folder)
    check(rows[0]["n"] == 7 and rows[0]["d"] == 0.5 and rows[0]["b"] is True, f"{rows[0]}")
    check(rows[0]["t"] == "2026-01-15T10:00:00.000Z" == rows[1]["t"], f"{rows}")
    check(rows[0]["tags"] == ["a"] and rows[0]["v"] == {"a": 1} and rows[0]["s"] == "007", f"{rows[0]}")
    check(rows[1]["n"] == 5 and rows[1]["v"] == "text" and rows[1]["s"] == "", f"{rows[1]}")


def make_parquet(folder):
    """100 rows whose pages can be damaged."""
    (folder / "some.csv").write_text("$id,n\n" + "".join(f"i{i},{i}\n" for i in range(100)))
    run("import", "Loose", "some.csv", folder=folder)
    run("export", "Loose", "some.parquet", folder=folder)
    return folder / "some.parquet"


def test_bad_rows(root):
    folder = make(root, "bad")
    (folder / "bad.csv").write_text('$id,n\na,1\nb,x\nc,2,3\n"d\nd",4\ne,5\n"f,6\n')
    out, err = run("import", "Strict", "bad.csv", folder=folder, code=1)
    check(json.loads(out)["accepted"] == 3 and json.loads(out)["refused"] == 3, out)
    check("line 3" in err and "line 4" in err and "line 8" in err, err)
    kept = [json.loads(line) for line in (folder / "data/rejected/Strict.ndjson").read_text().splitlines()]
    check([k["item"] for k in kept] == ["b,x", "c,2,3", '"f,6'], f"{kept}")
    check([k["index"] for k in kept] == [1, 2, 5], f"{kept}")
    check("3 fields, the header 2" in kept[1]["message"], f"{kept[1]}")
    check("does not end" in kept[2]["message"], f"{kept[2]}")
    (folder / "bad.ndjson").write_text('{"$id":"x","n":1}\n{"$id":"y"}\nnonsense\n{"$id":"z","n":2}\n')
    out, err = run("import", "Strict", "bad.ndjson", folder=folder, code=1)
    check(json.loads(out)["accepted"] == 2 and json.loads(out)["refused"] == 2, out)
    for text, words in (("a,a\n1,2\n", "twice"), ("a,,c\n", "no name")):
        (folder / "head.csv").write_text(text)
        _, err = run("import", "Loose", "head.csv", folder=folder, code=1)
        check(words in err and "head.csv" in err, err)
    (folder / "cut.parquet").write_bytes(b"PAR1PAR1")
    _, err = run("import", "Loose", "cut.parquet", folder=folder, code=1)
    check("cut.parquet" in err, err)
    whole = make_parquet(folder)
    data = bytearray(whole.read_bytes())
    data[40] ^= 1
    (folder / "hurt.parquet").write_bytes(data)
    _, err = run("import", "Loose", "hurt.parquet", folder=folder, code=1)
    check("hurt.parquet, " in err and "checksum" in err, err)
    _, err = run("import", "Loose", "what.xyz", folder=folder, code=2)
    check("--format ndjson, csv or parquet" in err, err)
    _, err = run("import", "Loose", "no*.csv", folder=folder, code=1)
    check("no*.csv" in err, err)
    _, err = run("import", "Loose", "-", "--format", "parquet", folder=folder, code=2)
    check("stdin" in err, err)
    _, err = run("find", "Loose", "--format", "parquet", folder=folder, code=2)
    check("use export" in err, err)


def test_globs_and_tokens(root):
    folder = make(root, "many")
    for part in range(3):
        text = "$id,n\n" + "".join(f"{part}-{i},{i}\n" for i in range(5000))
        (folder / f"part{part}.csv").write_text(text)
    out, _ = run("import", "Item", "part*.csv", "--token", "t", folder=folder)
    check(json.loads(out)["accepted"] == 15000, out)
    out, _ = run("import", "Item", "part*.csv", "--token", "t", folder=folder)
    check(json.loads(out)["accepted"] == 0 and json.loads(out)["repeated"], out)
    check(len(find("Item", folder)) == 15000, "rows")
    (folder / "more.csv").write_text("$id,n\n" + "".join(f"m{i},{i}\n" for i in range(25000)))
    out, _ = run("import", "Item", "-", "--format", "csv", folder=folder,
                 stdin=(folder / "more.csv").read_bytes())
    check(json.loads(out)["accepted"] == 25000, out)
    out, _ = run("log", folder=folder)
    check(len(out.splitlines()) == 6, f"{len(out.splitlines())} commits")  # 3 files, then 3 of 10,000
    run("export", "Item", "all.parquet", folder=folder)
    other = make(root, "ingested")
    out, _ = run("ingest", "Item", str(folder / "all.parquet"), folder=other)
    check(json.loads(out)["accepted"] == 40000, out)
    _, err = run("ingest", "Item", str(folder / "part0.csv"), folder=other, code=1)
    check("0-0" in err, f"ids that are there already: {err}")


def main():
    with tempfile.TemporaryDirectory() as root:
        for test in (test_round_trip, test_csv, test_bad_rows, test_globs_and_tokens):
            test(pathlib.Path(root))
    print(f"{checks} checks, {len(failures)} failed")
    return 1 if failures else 0


sys.exit(main())
