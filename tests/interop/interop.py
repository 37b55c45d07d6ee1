"""What the interop scripts share: one line "ok" or "not ok" for each check, counts at the end."""
import os
import subprocess
import sys
import tempfile

counts = {"ok": 0, "not ok": 0}


def check(condition, name, detail=""):
    outcome = "ok" if condition else "not ok"
    counts[outcome] += 1
    print(f"{outcome} - {name}" + (f": {detail}" if detail and not condition else ""))


def equal(got, want, name):
    """One check; on failure the first difference of two lists of rows, else both values."""
    detail = f"got {got!r}, want {want!r}"
    if isinstance(got, list) and isinstance(want, list):
        detail = f"{len(got)} rows, want {len(want)}"
        for i, (a, b) in enumerate(zip(got, want)):
            if a != b and isinstance(a, dict) and isinstance(b, dict):
                keys = [key for key in {**a, **b} if a.get(key) != b.get(key)]
                a, b = ({key: row.get(key) for key in keys} for row in (a, b))
            if a != b:
                detail += f"; row {i}: got {a!r}, want {b!r}"
                break
    check(got == want, name, detail)


def finish():
    print(f"# {counts['ok']} ok, {counts['not ok']} not ok")
    sys.exit(1 if counts["not ok"] or not counts["ok"] else 0)


def program(name):
    """Path of a program built from tests/interop/<name>.c."""
    return os.path.join(os.environ["PQ_BUILD_DIR"], "tests", "interop", name)


def make_folder(name):
    """A new folder filled by the program <name>; the caller keeps the first and uses the second."""
    folder = tempfile.TemporaryDirectory()
    subprocess.run([program(name), folder.name], check=True)
    return folder, folder.name
