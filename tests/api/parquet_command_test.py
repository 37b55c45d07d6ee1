"""Goal: `parquedb parquet` tells the truth of a file, shows its rows and finds damage.

The file is one that a checkpoint of the command itself wrote; damaged copies differ in one byte.
Foreign files are taken from the corpus where there is one.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROJECT = pathlib.Path(os.environ["PQ_PROJECT_DIR"])
COMMAND = pathlib.Path(os.environ["PQ_BUILD_DIR"]) / "parquedb"
CORPUS = pathlib.Path(os.environ.get("PQ_CORPUS_DIR", PROJECT / "../shared/corpus"))
ROWS = 5000
failures = []
checks = 0


def check(held, what):
    global checks
    checks += 1
    if not held:
        failures.append(what)
        print(f"FAILED {what}")


def run(*args, folder=None):
    done = subprocess.run([COMMAND, *args], cwd=folder, capture_output=True, timeout=120,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")


def make_file(folder):
    (folder / "schema.json5").write_text(
        "{ Item: { n: 'int', d: 'decimal(5,2)', s: 'string', tags: 'string[]' } }")
    check(run("init", "schema.json5", folder=folder)[0] == 0, "init")
    items = "\n".join(json.dumps({"$id": f"i{i:05}", "n": i, "d": i % 100, "s": f"s{i % 7}",
                                  "tags": ["a"] * (i % 3)}) for i in range(ROWS))
    made = subprocess.run([COMMAND, "ingest", "Item", "-"], cwd=folder, input=items.encode(),
                          capture_output=True, check=False)
    check(made.returncode == 0, f"ingest: {made.stderr}")
    check(run("checkpoint", folder=folder)[0] == 0, "checkpoint")
    return next((folder / "data" / "Item" / "data").glob("*.parquet"))


def test_layout(path):
    code, out, err = run("parquet", str(path))
    check(code == 0 and err == "", f"layout: {err}")
    layout = json.loads(out)
    check(layout["rows"] == ROWS and layout["bytes"] == path.stat().st_size, "rows and bytes")
    names = [f["name"] for f in layout["schema"] if f["depth"] == 0]
    check(names[0] == "$id" and {"n", "d", "s", "tags"} <= set(names), f"schema {names}")
    types = {f["name"]: f["readAs"] for f in layout["schema"] if f["depth"] == 0}
    check(types["d"] == "decimal(5,2)" and types["tags"] == "string[]", f"types {types}")
    group = layout["rowGroups"][0]
    check(group["sortedBy"] == "$id", "sorted by")
    for column in group["columns"]:
        pages = [p for p in column["pages"] if p["kind"] == "data"]
        check(sum(p["values"] for p in pages) == column["values"], f"values of {column['path']}")
        check(sum(p["storedBytes"] for p in column["pages"]) == column["storedBytes"],
              f"bytes of {column['path']}")
        check(column["indexedPages"] == len(pages) and all(p["crc"] for p in column["pages"]),
              f"index and checksums of {column['path']}")
    number = next(c for c in group["columns"] if c["path"] == "n")
    check((number["min"], number["max"], number["nulls"]) == ("0", str(ROWS - 1), 0), f"{number}")
    code, out, err = run("--format", "table", "parquet", str(path))
    check(code == 0 and re.search(rf"{ROWS:,} rows in 1 row group", out) is not None, "head")
    for word in ("schema", "columns", "row groups", "statistics", "decimal(5,2)", "index, crc"):
        check(word in out, f"no {word} in the table")


def test_rows(path):
    code, out, _ = run("parquet", str(path), "--rows")
    rows = [json.loads(line) for line in out.splitlines()]
    check(code == 0 and len(rows) == ROWS, f"{len(rows)} rows")
    check([r["n"] for r in rows] == list(range(ROWS)) and rows[2]["tags"] == ["a", "a"], "rows")
    check(rows[5]["d"] == 5.00 and rows[5]["s"] == "s5", f"{rows[5]}")


def test_check(path, folder):
    code, out, err = run("parquet", str(path), "--check")
    found = json.loads(out)
    check(code == 0 and err == "" and found["problems"] == 0, f"sound: {err}")
    check(found["pages"] == found["pagesWithCrc"] > 0 and found["bounds"] > 0, f"{found}")
    chunk = json.loads(run("parquet", str(path))[1])["rowGroups"][0]["columns"]
    page = next(c for c in chunk if c["path"] == "n")["pages"][-1]
    data = bytearray(path.read_bytes())
    data[page["offset"] + page["storedBytes"] - 1] ^= 1
    bad = folder / "bad.parquet"
    bad.write_bytes(data)
    code, out, err = run("parquet", str(bad), "--check")
    check(code == 1 and re.search(r"row group 0, n: .*checksum.* \(at byte \d+\)", err),
          f"damage: {err}")
    check(json.loads(out)["problems"] == 1, "one problem")
    bad.write_bytes(data[:-10])
    code, _, err = run("parquet", str(bad))
    check(code == 1 and "bad.parquet" in err and "PAR1" in err, f"cut: {err}")


def test_uses(path):
    for args, code, words in (
            (["parquet"], 2, "usage: parquedb parquet FILE"),
            (["parquet", "missing.parquet"], 1, "missing.parquet: no such file"),
            (["parquet", str(path), "--rows", "--check"], 2, "not both"),
            (["parquet", str(path), "--pages"], 2, "no option --pages")):
        got, _, err = run(*args)
        check(got == code and words in err, f"{args}: {got} {err}")


def test_corpus():
    folder = CORPUS / "parquet-testing" / "data"
    if not folder.is_dir():
        print(f"    skipped: no corpus at {CORPUS}")
        return
    bad = {"datapage_v1-corrupt-checksum", "rle-dict-uncompressed-corrupt-checksum",
           "large_string_map.brotli"}
    for path in sorted(folder.glob("*.parquet")):
        code, out, err = run("parquet", str(path), "--check")
        check(code == (1 if path.stem in bad else 0), f"{path.name}: {err}")
        code, out, err = run("parquet", str(path))
        check(code == 0 and json.loads(out)["rowGroups"] is not None, f"{path.name}: {err}")
    code, _, err = run("parquet", str(folder / "uniform_encryption.parquet.encrypted"))
    check(code == 1 and "encrypted" in err, f"encrypted: {err}")
    code, out, err = run("parquet", "--check",
                         str(folder / "encrypt_columns_plaintext_footer.parquet.encrypted"))
    check(code == 0 and json.loads(out)["unsupported"] == 2, f"encrypted columns: {out} {err}")


def main():
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root)
        path = make_file(folder)
        test_layout(path)
        test_rows(path)
        test_check(path, folder)
        test_uses(path)
    test_corpus()
    print(f"{checks} checks, {len(failures)} failed")
    return 1 if failures else 0


sys.exit(main())
