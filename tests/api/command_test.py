"""Goal: the command answers every use, right or wrong, as its help says.

One table of uses (arguments, stdin, exit code, what stdout and stderr say), the four formats on the
example's events, a terminal, and bad input of every kind: a clear error, exit code 1, nothing lost.
"""
import contextlib
import csv
import fcntl
import io
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

PROJECT = pathlib.Path(os.environ["PQ_PROJECT_DIR"])
COMMAND = pathlib.Path(os.environ["PQ_BUILD_DIR"]) / "parquedb"
EXAMPLE = PROJECT / "examples" / "tail-worker"
VIEWS = ["WorkerLogs", "WorkerErrors", "WorkerRequests", "EndpointMetrics"]
SCHEMA = """{
  TailEvents: { $ingest: 'tail' },
  Errs: { $from: 'TailEvents', $filter: { outcome: { $ne: 'ok' } } },
  Item: { n: 'int', d: 'decimal(5,2)', t: 'timestamp', s: 'string' },
}"""
FIVE = """{
  TailEvents: { $ingest: 'tial' },
  Order: { total: 'decimal(50,2)!', status: 'strng' },
  Errs: { $from: 'TailEvent' },
  Hourly: { $from: 'Order', $groupBy: ['status'], $compute: { n: { $count: '*' } },
            $refresh: { mode: 'scheduled' } },
}"""
failures = []


def check(held, what):
    if not held:
        failures.append(what)
        print(f"FAILED {what}")


def run(args, folder, stdin="", **options):
    data = stdin.encode() if isinstance(stdin, str) else stdin
    ran = subprocess.run([COMMAND, *args], cwd=folder, input=data, capture_output=True, timeout=120,
                         check=False, **options)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode(errors="replace")


def expect(args, folder, code, out="", err="", stdin="", **options):
    """`out` and `err` are patterns; None: nothing at all."""
    got = run(args, folder, stdin, **options)
    for name, pattern, text in (("stdout", out, got[1]), ("stderr", err, got[2])):
        fits = text == "" if pattern is None else re.search(pattern, text, re.S | re.M)
        check(fits, f"{args}: {name} is {text[:400]!r}, expected {pattern!r}")
    check(got[0] == code, f"{args}: exit code {got[0]}, expected {code}: {got[2][:400]}")
    check("runtime error" not in got[2] and "Sanitizer" not in got[2], f"{args}: {got[2][:2000]}")
    return got[1]


# ---- the table of uses ------------------------------------------------------------------------

# On the example's 500 events. Arguments, exit code, stdout, stderr.
USES = [
    ([], 2, None, r"usage: parquedb.*ingest "),
    (["--help"], 0, r"usage: parquedb.*Exit codes", None),
    (["help", "find"], 0, r"usage: parquedb find NAME", None),
    (["find", "-h"], 0, r"usage: parquedb find NAME", None),
    (["--version"], 0, r"^parquedb \d+\.\d+\.\d+$", None),
    (["serve", "--listen", "localhost:80"], 2, None, r"serve has no option --listen"),
    (["view", "refresh", "--due", "WorkerLogs"], 1, None, r"WorkerLogs: only a scheduled view is ever due"),
    (["view", "refresh", "--discard"], 2, None, r"takes --discard with refresh V --full"),
    (["view", "refresh", "WorkerLogs", "--full", "--discard"], 1, None, r"it does not append: there is nothing to discard"),
    (["view", "refresh", "--due", "--full"], 2, None, r"--full or --due, not both"),
    (["view", "state", "--due"], 2, None, r"state has no option --due"),
    (["fnd"], 2, None, r"no command 'fnd'; did you mean 'find'\?"),
    (["--quite", "find", "X"], 2, None, r"no option '--quite'"),
    (["--db"], 2, None, r"--db needs a value"),
    (["--format", "xml", "status"], 2, None, r"table, json, ndjson, csv or parquet, not 'xml'"),
    (["--format", "csv", "--format=json", "status"], 2, None, r"--format is given twice"),
    (["--memory", "much", "status"], 2, None, r"--memory takes a size of at least 1MiB, as 256MiB or 4GiB, not 'much'"),
    (["--memory=10k", "status"], 2, None, r"--memory takes a size of at least 1MiB"),
    (["--memory", "64MiB", "status"], 0, r"seq-", None),
    (["find"], 2, None, r"usage: parquedb find NAME"),
    (["find", "TailEvents", "{}", "more"], 2, None, r"find takes no 'more'"),
    (["find", "TailEvents", "--lmit", "3"], 2, None, r"find has no option --lmit\nusage"),
    (["find", "TailEvents", "--limit"], 2, None, r"--limit needs a value"),
    (["find", "TailEvents", "--sort", "--limit", "3"], 2, None, r"--sort needs a value"),
    (["find", "TailEvents", "--limit", "-1"], 2, None, r"--limit takes a whole number, not '-1'"),
    (["find", "TailEvents", "--limit", "0"], 2, None, r"--limit of 1 or more"),
    (["find", "TailEvents", "--cursor", "x"], 1, None, r"cursor: the cursor is damaged"),
    (["find", "TailEvents", "--limit", "1"], 0, r"\$id", r"^more rows follow: --cursor [\w-]+$"),
    (["find", "TailEvents", "--limit", "1", "--quiet"], 0, r"\$id", None),
    (["explain"], 2, None, r"parquedb explain find NAME"),
    (["explain", "find"], 2, None, r"usage: parquedb explain find NAME"),
    (["explain", "find", "WorkerErrors", "{ outcome: 'none' }"], 0, r'^\{"name":"WorkerErrors".*"given":0\}', None),
    (["explain", "find", "TailEvents", "--format=table"], 0, r"^way +scan$.*^rows .* given$.*^took", None),
    (["explain", "find", "Nothing"], 1, None, r"no collection or view Nothing"),
    (["find", "WorkerError"], 1, None, r"no collection or view WorkerError; did you mean WorkerErrors\?"),
    (["find", "WorkerErrors", "{ outcome: "], 1, None, r"filter: .*found the end \(at byte 11\)"),
    (["find", "WorkerErrors", "{ outcome: { $nee: 1 } }"], 1, None,
     r"filter\.outcome: INVALID_FILTER: \$nee .*did you mean \$ne\?$"),
    (["find", "WorkerErrors", "[]"], 1, None, r"filter: INVALID_FILTER: a filter is an object; write"),
    (["find", "WorkerErrors", "{ nofield: 1 }"], 0, None, r"note: WorkerErrors has no field nofield"),
    (["find", "WorkerErrors", "{ outcome: 'none' }"], 0, None, None),
    (["find", "WorkerErrors", "{ outcome: 'none' }", "--format", "json"], 0, r"^\[\]$", None),
    (["find", "WorkerErrors", "{ outcome: 'none' }", "--format=csv"], 0, r"^\$id,scriptName,[^\n]*\n$", None),
    (["find", "WorkerErrors", "{ outcome: 'none' }", "--format=table"], 0, r"^\$id  scriptName", r"^0 rows at version seq-1$"),
    (["find", "EndpointMetrics", "--as-of="], 1, None, r"'' is neither a version"),
    (["find", "EndpointMetrics", "--max-staleness", "1 hour"], 1, None, r"'1 hour' is no duration; write 0s"),
    (["find", "EndpointMetrics", "--max-staleness", "0s"], 0, r"avgLatency", r"EndpointMetrics was brought up to seq-1"),
    (["find", "EndpointMetrics"], 0, None, r"EndpointMetrics is stale: .* old\)"),
    (["count", "EndpointMetrics"], 0, r"^0$", r"^note: EndpointMetrics is stale: .*reflects seq-0 \(\d+ m?s old\)$"),
    (["count", "EndpointMetrics", "--max-staleness", "0s"], 0, r"^[1-9]\d*$",
     r"^note: EndpointMetrics was brought up to seq-\d+ for this answer; what is stored is \d+ m?s old$"),
    (["count", "EndpointMetrics", "--max-staleness", "soon"], 1, None, r"maxStaleness: 'soon' is no duration; write 0s"),
    (["get", "TailEvents", "nobody"], 1, None, r"TailEvents has no row with \$id 'nobody'"),
    (["get", "TailEvents", "--", "--x"], 1, None, r"no row with \$id '--x'"),
    (["get", "TailEvents"], 2, None, r"usage: parquedb get NAME ID"),
    (["count", "TailEvents"], 0, r"^500\n$", None),
    (["create", "WorkerErrors", "{}"], 1, None, r"WorkerErrors is a view: write to TailEvents instead"),
    (["create", "Nope", "{}"], 1, None, r"no collection or view Nope"),
    (["create", "TailEvents", "{}", "--on-conflict", "keep"], 2, None, r"--on-conflict ignore or replace, not 'keep'"),
    (["update"], 2, None, r"usage: parquedb update COLLECTION FILTER\|ID OPERATORS"),
    (["update", "--help"], 0, r"\$currentDate \$setOnInsert", None),
    (["update", "WorkerErrors", "{}", "{ $set: { a: 1 } }"], 1, None, r"WorkerErrors is a view: write to TailEvents"),
    (["upsert", "TailEvents", "{}"], 2, None, r"usage: parquedb upsert"),
    (["delete", "TailEvents"], 2, None, r"usage: parquedb delete COLLECTION FILTER\|ID"),
    (["delete", "TailEvents", ""], 1, None, r"no filter is given"),
    (["delete", "TailEvents", "nobody"], 0, r'"matched":0,"created":0,"changed":0,"removed":0', None),
    (["ingest"], 2, None, r"usage: parquedb ingest"),
    (["ingest", "nope", "x"], 1, None, r"nope"),
    (["ingest", "tail", "missing.ndjson"], 1, None, r"missing\.ndjson: No such file"),
    (["ingest", "tail", "."], 1, None, r"Is a directory"),
    (["view"], 2, None, r"usage: parquedb view list"),
    (["view", "sate"], 2, None, r"no 'sate'; did you mean 'state'\?"),
    (["view", "show"], 2, None, r"view show needs the name of a view"),
    (["view", "list", "x"], 2, None, r"list takes no 'x'"),
    (["view", "state", "Nope"], 1, None, r"Nope"),
    (["view", "state", "--full"], 2, None, r"state has no option --full"),
    (["view", "explain", "EndpointMetrics"], 0, r"^group .*^refresh: incremental$.*^cost: ", None),
    (["view", "verify"], 0, r'"WorkerLogs","result":"exact"', r"EndpointMetrics is not verified: .*reflects seq-0"),
    (["view", "verify", "EndpointMetrics"], 1, None, r"EndpointMetrics: the view is stale .*refresh it"),
    (["log", "--since", "x"], 2, None, r"--since takes a whole number, not 'x'"),
    (["log", "--since", "seq-1"], 0, None, r"no commit after seq-1"),
    (["log"], 0, r'^\{"version":"seq-1","time":"\d{4}-\d\d-\d\dT[\d:.]+Z","kind":"commit",', None),
    (["schema"], 2, None, r"usage: parquedb schema check FILE"),
    (["schema", "check", "missing.json5"], 1, None, r"missing\.json5: No such file"),
    (["schema", "show"], 0, r"TailEvents: \{ \$ingest: 'tail' \}", None),
    (["init", "missing.json5"], 1, None, r"missing\.json5: No such file"),
    (["init", str(EXAMPLE / "schema.json5")], 1, None, r"\./data: there is a database here already"),
    (["--db", "elsewhere", "status"], 1, None, r"elsewhere: there is no database here; make one with init"),
    (["--db", "file", "status"], 1, None, r"file, not a directory"),
    (["check"], 0, r"^$", r"^$"),
    (["check", "--format", "table"], 0, r"^sound: \d+ files?, .*\n  (roots|log frames) ", None),
    (["check", "WorkerErrors"], 0, r"^$", None),
    (["check", "Nope"], 1, None, r"Nope: there is no collection or view Nope|no collection or view Nope"),
    (["check", "a", "b"], 2, None, r"usage: parquedb check \[NAME\] \[--repair\]"),
    (["--db", "elsewhere", "check"], 1, None, r"there is no database here"),
    (["status", "more"], 2, None, r"usage: parquedb status \[--format prometheus\]"),
    (["view", "create", "Mine"], 2, None, r"view create needs a name and "),
    (["view", "create", "Mine", "{ $from: 'WorkerErors' }"], 1, None,
     r"^1:10: UNKNOWN_SOURCE at Mine.\$from.*\n.*did you mean WorkerErrors"),
    (["view", "create", "WorkerErrors", "{ $from: 'TailEvents' }"], 1, None, r"there is a WorkerErrors already"),
    (["view", "create", "Mine", "{ $from: 'WorkerErrors', $compute: { n: { $count: '*' } } }"], 0, None,
     r"made Mine: 1 row in "),
    (["find", "Mine"], 0, r'^\{"\$id":"\[\]","n":\d+\}$', None),
    (["view", "create", "Late", "{ $from: 'Mine', $refresh: { mode: 'manual' } }"], 0, None,
     r"made Late: empty until 'view refresh Late'"),
    (["view", "create", "Kept", "{ $from: 'WorkerErrors', $history: '1d', $select: { o: '$outcome' } }"], 0, None,
     r"made Kept"),
    (["view", "changes", "Kept", "--since", "0"], 0,
     r'^\{"version":"seq-1","time":"[^"]*","weight":1,"row":\{"\$id":"[^"]*","o":"exception"\}\}$', r"up to seq-6"),
    (["view", "changes", "Kept", "--since", "1"], 0, "", r"up to seq-6"),
    (["view", "changes", "Kept", "--since", "99"], 1, None, r"version 99 has not been yet"),
    (["view", "changes", "Mine"], 1, None, r"Mine: its changes are not kept: declare \$history"),
    (["view", "changes"], 2, None, r"view changes needs the name of a view"),
    (["view", "state", "--since", "1"], 2, None, r"state has no option --since"),
    (["view", "drop", "Kept"], 0, None, r"dropped Kept"),
    (["view", "drop"], 2, None, r"view drop needs the name of a view"),
    (["view", "show", "Mine", "--cascade"], 2, None, r"show has no option --cascade"),
    (["view", "drop", "Mine"], 1, None, r"Mine: Late reads it; .*--cascade"),
    (["view", "drop", "Mine", "--cascade"], 0, None, r"dropped Mine, and with it Late$"),
    (["view", "state", "Late"], 1, None, r"no collection or view Late"),
    (["schema", "show"], 0, r"WorkerErrors", None),
]


def test_uses(folder):
    (folder / "file").write_text("")
    for args, code, out, err in USES:
        expect(args, folder, code, out, err)


def test_schema_mistakes(folder):
    (folder / "five.json5").write_text(FIVE)
    err = run(["schema", "check", "five.json5"], folder)[2]
    places = [r"2:26: INVALID_INGEST at TailEvents\.\$ingest: .*\n +did you mean tail\?",
              r"3:12: INVALID_TYPE at Order\.total: .*\n +write decimal",
              r"3:37: INVALID_TYPE at Order\.status: .*\n +did you mean string\?",
              r"4:18: UNKNOWN_SOURCE at Errs\.\$from: .*\n +did you mean TailEvents\?",
              r"6:31: MISSING_SCHEDULE at Hourly\.\$refresh\.mode: .*\n +add schedule",
              r"parquedb: five\.json5 has 5 mistakes\n$"]
    at = 0
    for place in places:  # in the order of the text
        found = re.compile(place).search(err, at)
        check(found, f"schema check does not tell {place!r}: {err}")
        at = found.end() if found else at
    expect(["--db", "five", "init", "five.json5"], folder, 1, None, "5 mistakes")
    check(not (folder / "five" / "schema.json5").exists(), "a wrong schema left a database behind")
    expect(["schema", "check", "-"], folder, 1, None, r"^stdin:1:\d+: SYNTAX: ", stdin="{ a: ")
    expect(["init"], folder, 1, None, r"schema\.json5: No such file.*parquedb init SCHEMA\.json5")


# ---- formats ----------------------------------------------------------------------------------

def test_formats(folder):
    lines = run(["find", "TailEvents"], folder)[1].splitlines()
    rows = [json.loads(line) for line in lines]
    given = [json.loads(line) for line in (EXAMPLE / "events.ndjson").read_text().splitlines()]
    check(len(rows) == len(given) == 500, f"{len(rows)} lines of JSON for 500 events")
    for row, event in zip(rows, given):
        same = all(row[name] == event[name] for name in event
                   if name not in ("scriptName", "eventTimestamp", "logs", "exceptions"))
        check(same and len(row["logs"]) == len(event["logs"]), f"{row} is not {event}")
    check(json.loads(run(["find", "TailEvents", "--format", "json"], folder)[1]) == rows,
          "JSON differs from NDJSON")
    errors = [json.loads(line) for line in run(["find", "WorkerErrors"], folder)[1].splitlines()]
    text = run(["find", "WorkerErrors", "--format", "csv"], folder)[1]
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    check(text.count("\r\n") == len(table) + 1, "CSV lines end with CR LF")
    for row, cells in zip(errors, table):
        check(all((cells[name] == "") if row[name] is None else (cells[name] == str(row[name]))
                  for name in cells), f"CSV {cells} is not {row}")
    expect(["find", "WorkerErrors", "--format", "table", "--limit", "1"], folder, 0,
           r'boom ☃ "quoted"\\nsecond line  http', r"^1 row at version seq-9$")
    for args in (["status"], ["log"], ["view", "list"], ["view", "state"], ["view", "show", "Hot"],
                 ["view", "state", "WorkerErrors"], ["view", "verify"], ["view", "refresh"]):
        args = ["WorkerErrors" if word == "Hot" else word for word in args]
        json.loads(run([*args, "--format", "json"], folder)[1])
        for line in run([*args, "--format", "ndjson"], folder)[1].splitlines():
            json.loads(line)


def test_metrics(folder):
    """EndpointMetrics is scheduled: stale with a reason, fresh after a refresh."""
    state = json.loads(expect(["view", "state", "EndpointMetrics"], folder, 0, "stale", None))
    check(state["state"] == "stale" and "this view reflects seq-0" in state["reason"], f"{state}")
    check(state["lineage"]["lastRefreshTime"] is None and state["lag"]["versions"] == 1, f"{state}")
    expect(["view", "refresh"], folder, 0, '"EndpointMetrics","kind":"incremental","reason":null')
    state = json.loads(run(["view", "state", "EndpointMetrics"], folder)[1])
    check(state["state"] == "fresh" and state["reason"] is None and state["rows"] == 2, f"{state}")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", state["lineage"]["lastRefreshTime"]),
          f"{state}")
    expect(["view", "verify"], folder, 0, '"EndpointMetrics","result":"exact"', None)
    expect(["checkpoint"], folder, 0, '"version":"seq-9","files":5', None)
    expect(["compact"], folder, 0, '"filesBefore":1,"filesAfter":1,', "^nothing to do: ")
    expect(["compact", "Nope"], folder, 1, None, "no collection or view Nope")
    expect(["compact", "Hot", "Cold"], folder, 2, None, "usage: parquedb compact")


def on_terminal(args, folder, columns=80, stdin=subprocess.DEVNULL, **env):
    """What the command writes to a terminal of so many columns, and its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    child = subprocess.Popen([COMMAND, *args], cwd=folder, stdin=stdin, stdout=slave, stderr=slave,
                             env={**os.environ, "TERM": "xterm", **env})
    os.close(slave)
    seen = b""
    with contextlib.suppress(OSError):  # the terminal is gone with the child
        while chunk := os.read(master, 65536):
            seen += chunk
    os.close(master)
    return seen.decode().replace("\r\n", "\n"), child.wait()


def test_terminal(folder):
    for columns in (80, 120):
        for args in (["find", "TailEvents", "--limit", "9"], ["find", "WorkerErrors"],
                     ["view", "list"], ["status"], ["log"]):
            text = re.sub(r"\x1b\[[\d;]*[mK]", "", on_terminal(args, folder, columns)[0])
            widest = max(len(line) for line in text.splitlines())
            check(widest <= columns, f"{args}: {widest} columns on a terminal of {columns}")
    text = on_terminal(["find", "TailEvents", "--limit", "2"], folder)[0]
    check("\x1b[1m$id" in text and "3 more columns (event …)" in text, f"{text!r}")
    check("\x1b" not in on_terminal(["view", "list"], folder, NO_COLOR="1")[0], "NO_COLOR")
    check("\x1b[32mfresh" in on_terminal(["view", "list"], folder)[0], "a fresh view is green")


def test_progress(folder):
    """Work of more than a second tells how far it is, and only on a terminal."""
    for more, is_shown in (([], True), (["--quiet"], False)):
        slow = subprocess.Popen(["sh", "-c", f"sleep 1.2; echo '{GOOD}'"], stdout=subprocess.PIPE)
        text, code = on_terminal([*more, "ingest", "tail"], folder, stdin=slow.stdout)
        slow.stdout.close()
        slow.wait()
        shown = re.search(r"\r\x1b\[Kstdin .* rows  .*/s.*\r\x1b\[K", text) is not None
        check(code == 0 and shown == is_shown, f"progress with {more}: {text!r}")


# ---- bad input --------------------------------------------------------------------------------

GOOD = '{"outcome":"ok"}'


def lines(*texts):
    return "".join(text + "\n" for text in texts)


# Sent to a stream between two good events: set aside with its line, the good ones stay.
BAD_EVENTS = [
    ("not JSON", "hello", r"is not JSON: at byte 1 .*'h'"),
    ("cut", '{"outcome":"o', r"is not JSON: at byte 14 .*the end"),
    ("invalid UTF-8", b'{"outcome":"ok","x":"\xff"}', r"is not JSON: at byte \d+ .*UTF-8"),
    ("a NUL", b'{"outcome":"ok","x":"\0"}', r"is not JSON"),
    ("depth 10000", '{"outcome":"ok","x":' + "[" * 10000 + "]" * 10000 + "}", r"deeper than 128 levels"),
    ("a double's range", '{"outcome":"ok","x":1e999}', r"x: the number is beyond the range of a double"),
    ("a time's range", '{"outcome":"ok","eventTimestamp":99999999999999999999}',
     r"eventTimestamp: is beyond the range"),
    ("a kind", '{"outcome":1}', r"outcome: must be text, not a number"),
    ("a list's kind", '{"outcome":"ok","logs":{}}', r"logs: must be a list, not an object"),
    ("a missing field", "{}", r"outcome: is required"),
    ("no object", "3", r"must be an object, not a number"),
    ("a key twice", '{"outcome":"ok","outcome":"ok"}', r"outcome: occurs twice"),
    ("100 MB", b'{"outcome":"ok","x":"' + b"y" * 100_000_000 + b'"}', r"is longer than 64 MiB"),
]

# Sent to a collection after a good row: nothing of it is written.
BAD_ROWS = [
    ("not JSON", "hello", r"item 1 \(line 2\) is not JSON"),
    ("cut", '{"n":1', r"item 1 \(line 2\) is not JSON: at byte"),
    ("an int's range", '{"n":9223372036854775808}', r"n: item 1 \(line 2\) .*64-bit"),
    ("a decimal's range", '{"d":100000}', r"d: item 1 \(line 2\) .*decimal\(5,2\)"),
    ("a kind", '{"n":"x"}', r"n: item 1 \(line 2\) must be an integer, not text"),
    ("no time", '{"t":"soon"}', r"t: item 1 \(line 2\) must be a time like"),
    ("an id", '{"$id":"a/b"}', r"\$id: item 1 \(line 2\) must not contain '/'"),
    ("an id twice", '{"$id":"first"}', r"\$id 'first' is in the batch twice"),
    ("depth 10000", '{"x":' + "[" * 10000 + "]" * 10000 + "}", r"deeper than 128 levels"),
]


def test_bad_events(folder):
    accepted = 0
    for name, item, message in BAD_EVENTS:
        item = item if isinstance(item, bytes) else item.encode()
        text = b"\n".join([GOOD.encode(), item, GOOD.encode(), b""])
        accepted += 2
        expect(["ingest", "tail"], folder, 1, '"accepted":2,"refused":1',
               rf"^refused item 1 \(line 2\): .*{message}.*data/rejected/TailEvents\.ndjson", text)
        check(run(["count", "TailEvents"], folder)[1] == f"{accepted}\n", f"{name}: good events lost")
    kept = (folder / "data/rejected/TailEvents.ndjson").read_text().splitlines()
    check(len([json.loads(line) for line in kept]) == len(BAD_EVENTS), "refused items are kept")
    expect(["ingest", "tail", "-"], folder, 0, '"accepted":0,"refused":0', None, "")
    (folder / "cut.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV")
    expect(["ingest", "tail", "cut.gz"], folder, 1, None, r"cut\.gz: gzip data is damaged: cut off")
    expect(["view", "verify"], folder, 0, '"Errs","result":"exact"', None)


def test_bad_rows(folder):
    for name, item, message in BAD_ROWS:
        expect(["create", "Item"], folder, 1, None, message, lines('{"$id":"first"}', item))
        check(run(["count", "Item"], folder)[1] == "0\n", f"{name}: half a batch was written")
    expect(["create", "Item", '{"$id":"a","s":"日本語"}'], folder, 0, '"accepted":1', None)
    expect(["create", "Item", '{"$id":"a"}'], folder, 1, None, r"a row with \$id 'a' is there already")
    expect(["get", "Item", "a"], folder, 0, '"s":"日本語"', None)
    expect(["create", "Item", '{"$id":"b","n":1}', "--token", "t"], folder, 0, '"repeated":false')
    expect(["create", "Item", '{"$id":"b","n":1}', "--token", "t"], folder, 0, '"repeated":true')
    expect(["create", "Item", '{"$id":"c"}', "--token", 'a\n"b\\'], folder, 0, '"accepted":1')
    expect(["update", "Item", "a", "{ $inc: { n: 2 } }"], folder, 0, '"matched":1,"created":0,"changed":1')
    expect(["update", "Item", "{ n: 2 }", "{ $set: { s: 'x' } }", "--token", "u"], folder, 0, '"changed":1')
    expect(["update", "Item", "{ n: 2 }", "{ $set: { s: 'x' } }", "--token=u"], folder, 0, '"repeated":true')
    expect(["update", "Item", "a", "{ s: 'y' }"], folder, 1, None, r"s: is no operator")
    expect(["update", "Item", "a", "{ $set: { n: 'y' } }"], folder, 1, None, r"n: in row 'a' of Item it must be an integer")
    expect(["update", "Item", "a", "{ $inc: { n: 1 } }", "--expected-version", "1"], folder, 1, None,
           r"row 'a' of Item has version 3, not 1")
    expect(["upsert", "Item", "{ n: 77 }", "{ $set: { s: 'new' } }"], folder, 0, '"created":1')
    expect(["upsert", "Item", "{ n: 77 }", "{ $set: { s: 'old' } }", "--format", "table"], folder, 0, r"^1 row updated, version")
    expect(["delete", "Item", "{ n: 77 }", "--format", "table"], folder, 0, r"^1 row deleted, version")
    expect(["create", "Item", '{"$id":"a","n":9}', "--on-conflict", "replace"], folder, 0, '"accepted":1')
    expect(["get", "Item", "a"], folder, 0, r'"n":9.*"version":4', None)
    expect(["create", "Item", '{"$id":"a","n":5}', "--on-conflict=ignore"], folder, 0, '"accepted":0')
    expect(["delete", "Item", "a", "--token", "d"], folder, 0, '"removed":1')
    changes = [json.loads(line) for line in run(["log"], folder)[1].splitlines()]
    check('a\n"b\\' in [change["token"] for change in changes], "a token in the log")


def test_streams_of_the_shell(folder):
    for target in (["ingest", "tail"], ["create", "Item"]):
        ran = subprocess.run(f"'{COMMAND}' {' '.join(target)} <&-", shell=True, cwd=folder,
                             capture_output=True, text=True, check=False)
        said = re.search(r"stdin: .*Bad file descriptor", ran.stderr)
        check(ran.returncode == 1 and said, f"{target}, stdin closed: {ran}")
    for end, said in ((">&-", "stdout: Bad file"), (">/dev/full", "stdout: No space left")):
        ran = subprocess.run(f"'{COMMAND}' count Item {end}", shell=True, cwd=folder,
                             capture_output=True, text=True, check=False)
        check(ran.returncode == 1 and said in ran.stderr, f"{end}: {ran}")
    ran = subprocess.run(f"'{COMMAND}' --db '{folder.parent}/demo/data' find TailEvents | head -n 1",
                         shell=True, capture_output=True, text=True, check=False)
    check(ran.returncode == 0 and ran.stderr == "" and json.loads(ran.stdout), f"broken pipe: {ran}")


@contextlib.contextmanager
def ingesting(folder, *more):
    child = subprocess.Popen([COMMAND, "ingest", "tail", *more], cwd=folder, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_second_writer_and_interrupt(folder):
    before = int(run(["count", "TailEvents"], folder)[1])
    with ingesting(folder, "--token", "run") as child:
        child.stdin.write(lines(*[GOOD] * 35_000).encode())
        child.stdin.flush()
        limit = time.monotonic() + 30
        while int(run(["count", "TailEvents"], folder)[1]) < before + 30_000:
            check(time.monotonic() < limit, "30,000 events were not committed")
            if time.monotonic() >= limit:
                return
        expect(["create", "Item", "{}"], folder, 1, None, rf"process {child.pid}|pid {child.pid}")
        child.send_signal(signal.SIGINT)
        ready = select.select([child.stdout], [], [], 20)[0]
        check(ready, "Ctrl-C does not end an ingest that waits for input")
        out, err = child.communicate(timeout=20)
    check(child.returncode == 1 and out == b"", f"interrupted: {child.returncode} {out}")
    check(b"30,000 rows of stdin stay committed; the same command goes on" in err and b"interrupted" in err, f"{err}")
    check(int(run(["count", "TailEvents"], folder)[1]) == before + 30_000, "after the interrupt")
    expect(["ingest", "tail", "--token", "run"], folder, 0, "", None, lines(*[GOOD] * 35_000))
    check(int(run(["count", "TailEvents"], folder)[1]) == before + 35_000, "the run is completed")


# ---- places that cannot be written ------------------------------------------------------------

@contextlib.contextmanager
def mounted(folder, *options):
    """A mount for the time of a test; False where that is not allowed."""
    made = os.geteuid() == 0 and subprocess.run(
        ["mount", *options, str(folder)], capture_output=True, check=False).returncode == 0
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", str(folder)], check=False)


def fill(folder):
    """Until a database there cannot grow; gives the file that takes the room."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_full_disk(folder):
    with mounted(folder, "-t", "tmpfs", "-o", "size=16m", "tmpfs") as made:
        if not made:
            print("no full disk here: not allowed to mount")
            return
        make(folder, SCHEMA)
        full = r"the disk is full: free some space"
        ballast = fill(folder)
        for args in (["ingest", "tail"], ["create", "TailEvents"]):
            expect(args, folder, 1, None, full, lines(GOOD))
            expect(["count", "TailEvents"], folder, 0, r"^0$", None)
        expect(["--db", "other", "init", "schema.json5"], folder, 1, None, full)
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=96m", str(folder)], check=True)
        big = json.dumps({"outcome": "ok", "x": os.urandom(200_000).hex()})
        expect(["ingest", "tail"], folder, 0, '"accepted":20,', None, lines(*[big] * 20))
        ballast = fill(folder)
        expect(["checkpoint"], folder, 1, None, full)
        expect(["count", "TailEvents"], folder, 0, r"^20$", None)
        expect(["view", "verify"], folder, 0, "exact", None)
        ballast.unlink()
        expect(["checkpoint"], folder, 0, "files", None)
        expect(["count", "TailEvents"], folder, 0, r"^20$", None)


def test_read_only(folder):
    make(folder, SCHEMA)
    expect(["ingest", "tail"], folder, 0, '"accepted":1,', None, lines(GOOD))
    with mounted(folder, "--bind", "-o", "ro", str(folder)) as made:
        if not made:
            print("no read-only directory here: not allowed to mount")
            return
        said = r"Read-only file system|read-only"
        expect(["ingest", "tail"], folder, 1, None, said, lines(GOOD))
        expect(["create", "Item", "{}"], folder, 1, None, said)
        expect(["view", "refresh"], folder, 1, None, said)
        expect(["checkpoint"], folder, 1, None, said)
        expect(["--db", "other", "init", "schema.json5"], folder, 1, None, said)
        expect(["count", "TailEvents"], folder, 0, r"^1$", None)
        expect(["view", "verify"], folder, 0, "exact", None)


LIFE = """{ Order: { total: 'int!', status: 'string!' },
  Paid: { $from: 'Order', $filter: { status: 'paid' } },
  Often: { $from: 'Order', $groupBy: ['status'], $compute: { n: { $count: '*' } },
    $refresh: { mode: 'scheduled', schedule: '0 0 1 1 *', timezone: 'Asia/Tokyo', gracePeriod: '90s' } } }"""


def test_views_of_people(folder):
    """What a view is, told to people: when it ran and runs, for how long it lacks what, what is wrong."""
    make(folder, LIFE)
    expect(["create", "Order", '[{"total":1,"status":"paid"},{"total":2,"status":"open"}]'], folder, 0)
    lines = on_terminal(["view", "list"], folder, NO_COLOR="1")[0].splitlines()
    check(re.fullmatch(r"view +state +rows +from +mode +version +refreshed +behind +next run", lines[0]), lines[0])
    check(re.fullmatch(r"Often +stale +0 +Order +scheduled +- +- +\d+ s +in \d+ d", lines[2]), lines[2])
    text = on_terminal(["view", "refresh"], folder, NO_COLOR="1")[0]
    check("\x1b" not in text and re.search(r"Paid +none +it is fresh +0 +seq-1 +(< 1|\d+) µs\n", text), f"{text!r}")
    check(re.search(r"Often +incremental +- +2 +seq-2 +[\d.]+ .?s\n", text), f"{text!r}")
    text = on_terminal(["view", "state", "Often"], folder, NO_COLOR="1")[0]
    for said in (r"Often  fresh\n", r"  mode +scheduled, at 0 0 1 1 \*\n",
                 r"  last run +20\d\d-12-31 15:00 UTC, \d+ d ago \(\w\w\w 00:00 Asia/Tokyo\)\n",
                 r"  next run +20\d\d-12-31 15:00 UTC, in \d+ d \(\w\w\w 00:00 Asia/Tokyo\)\n",
                 r"  grace +90s: ", r"  refreshed +20.* UTC, \d+ s ago \(incremental, 2 rows changed"):
        check(re.search(said, text), f"{said}: {text}")
    state = json.loads(expect(["view", "state", "Often"], folder, 0))
    check(state["gracePeriodMs"] == 90000, f"{state}")
    row = json.loads(run(["view", "list"], folder)[1].splitlines()[1])
    check(row["staleSince"] is None and row["nextRefreshAt"].endswith(":00.000Z") and row["lastError"] is None, f"{row}")
    said = on_terminal(["view", "alter", "Often", "{ schedule: '61 * * * *', retries: 3 }"], folder, NO_COLOR="1")[0]
    check(said == "INVALID_SCHEDULE at Often.$refresh.schedule: minute: 61 is not between 0 and 59\n"
                  "    write five fields, like '0 * * * *', or '@hourly'\n"
                  "UNKNOWN_DIRECTIVE at Often.$refresh.retries: $refresh has no setting retries\n"
                  "    it has mode, schedule, timezone, gracePeriod, strategy and backend\n"
                  "parquedb: with that the schema has 2 mistakes\n", said)
    expect(["create", "Order", '{"total":9223372036854775807,"status":"open"}'], folder, 0)
    expect(["view", "alter", "Paid", "{ $select: null, $filter: null, $groupBy: [], $compute: { s: { $sum: 'total' } } }"],
           folder, 1, None, r"INVALID_GROUP_BY")
    expect(["view", "alter", "Paid", "{ $filter: null, $compute: { s: { $sum: 'total' } } }"], folder, 1, None,
           r"the sum does not fit into an int")
    text = on_terminal(["view", "list"], folder, columns=160, NO_COLOR="1")[0]
    check("last error" in text.splitlines()[0] and re.search(r"Paid +(stale|invalid) .*: the sum does not fit into an int", text), text)


PLAN = """{ Order: { total: 'decimal(10,2)!', status: 'string!', note: 'string' },
  Paid: { $from: 'Order', $filter: { status: 'paid' } } }"""
PLANNED = """{ Order: { total: 'int!', status: 'enum(open,paid,sent,returned,cancelled,lost)!' },
  Paid: { $from: 'Order', $filter: { status: { $in: ['paid', 'sent'] } } } }"""


def test_plan_on_a_terminal(folder):
    """Nothing of a plan is cut: long changes are wrapped, what is refused stands below."""
    make(folder, PLAN)
    expect(["create", "Order", '{"total":1,"status":"pad","note":"x"}'], folder, 0)
    (folder / "schema.json5").write_text(PLANNED)
    text, code = on_terminal(["schema", "apply", "schema.json5"], folder, NO_COLOR="1")
    check(code == 1 and "…" not in text, text)
    check("change   field  Order.status  string! to\n"
          "                              enum(open,paid,sent,returned,cancelled,lost)!\n" in text, text)
    check("refused: drop Order.note, was string: 1 row would lose it\n"
          "    keep it, or say --allow-drop Order.note\n" in text, text)
    row = json.loads(run(["schema", "apply", "schema.json5"], folder)[1].splitlines()[0])
    check(list(row) == ["step", "kind", "name", "change", "refused", "remedy"], f"{row}")


def make(folder, schema):
    (folder / "schema.json5").write_text(schema)
    expect(["init"], folder, 0, None, r"made \./data")


def main():
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        folders = {name: pathlib.Path(root) / name
                   for name in ("empty", "demo", "bad", "full", "fixed", "life", "plan")}
        for folder in folders.values():
            folder.mkdir()
        test_schema_mistakes(folders["empty"])
        make(folders["demo"], (EXAMPLE / "schema.json5").read_text())
        expect(["ingest", "tail", str(EXAMPLE / "events.ndjson")], folders["demo"], 0,
               r'^\{"version":"seq-1","accepted":500,"refused":0,"repeated":false\}$', None)
        test_uses(folders["demo"])
        test_terminal(folders["demo"])
        test_views_of_people(folders["life"])
        test_plan_on_a_terminal(folders["plan"])
        test_metrics(folders["demo"])
        test_formats(folders["demo"])
        make(folders["bad"], SCHEMA)
        test_bad_events(folders["bad"])
        test_progress(folders["bad"])
        test_bad_rows(folders["bad"])
        test_streams_of_the_shell(folders["bad"])
        test_second_writer_and_interrupt(folders["bad"])
        test_full_disk(folders["full"])
        test_read_only(folders["fixed"])
    print(f"{len(USES)} uses, {len(BAD_EVENTS) + len(BAD_ROWS)} bad inputs, {len(failures)} failed, "
          f"{time.monotonic() - began:.1f} s")
    return 1 if failures else 0


sys.exit(main())
