"""Goal: with a server on the directory every command is run by it, and nobody can tell from the
outside: same output, same exit codes, files and stdin of the client, several clients at once; a
server that died leaves no trace that hurts; Ctrl-C and SIGTERM end it whole.
"""
import json
import os
import pathlib
import pty
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

PROJECT = pathlib.Path(os.environ["PQ_PROJECT_DIR"])
COMMAND = pathlib.Path(os.environ["PQ_BUILD_DIR"]) / "parquedb"
EXAMPLE = PROJECT / "examples" / "tail-worker"
SCHEMA = """{
  Item: { kind: 'string!', n: 'int!' },
  Feed: { $ingest: 'custom:feed', n: 'int!' },
  ByKind: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' } } },
  Often: { $from: 'Item', $compute: { sum: { $sum: 'n' } },
           $refresh: { mode: 'scheduled', schedule: '0 0 1 1 *', timezone: 'Asia/Kolkata' } },
}"""
failures = []


def check(good, what):
    if not good:
        failures.append(what)
        print("FAILED:", what)


def run(args, folder, stdin="", code=None, wait=60):
    done = subprocess.run([COMMAND, *args], cwd=folder, input=stdin, capture_output=True, text=True,
                          timeout=wait, env={**os.environ, "NO_COLOR": "1"})
    if code is not None:
        check(done.returncode == code,
              f"{args}: exit code {done.returncode}, expected {code}: {done.stderr[:300]}")
    return done.returncode, done.stdout, done.stderr


class Server:
    """A server in the folder, until the block ends."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.process = subprocess.Popen([COMMAND, "serve"], cwd=self.folder, text=True,
                                        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        line = self.process.stderr.readline()
        check(line.startswith("serving ./data"), f"serve says {line!r}")
        return self

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said

    def __exit__(self, *problem):
        if self.process.poll() is None:
            code, said = self.stop()
            check(code == 0, f"serve ended with {code}: {said}")
            check("Sanitizer" not in said and "runtime error" not in said, said[:2000])


USES = [
    ["find", "Item"], ["find", "Item", "{ n: { $gt: 3 } }", "--format", "table"],
    ["find", "Item", "--format", "csv"], ["find", "Item", "--format=json", "--sort", "{ n: -1 }"],
    ["find", "Itm"], ["find", "Item", "{ n: "], ["find"], ["find", "Item", "--lmit", "3"],
    ["fnd"], ["get", "ByKind", '["a"]'], ["get", "ByKind", "nobody"], ["count", "Item"],
    ["view", "list", "--format", "json"], ["view", "show", "ByKind"], ["view", "state", "Nix"],
    ["view", "stat"], ["schema", "show"], ["schema", "check", "schema.json5"],
    ["schema", "check", "nothing.json5"], ["export", "Item", "-", "--format", "csv"],
    ["import", "Item", "nothing.ndjson"], ["import", "Item", "nothing*.csv"], ["log"],
    ["version"], ["parquet", "nothing.parquet"], ["init"], ["--db", "elsewhere", "status"],
]


def labels(args, folder):
    """How the lines for people begin, where what they tell changes by the moment."""
    _, out, _ = run([*args, "--format", "table"], folder, code=0)
    return [re.sub(r"\d+", "0", line[:9]) for line in out.splitlines()]


def test_nobody_can_tell(folder):
    """Also from another directory, with the database by its path."""
    other = folder / "below"
    other.mkdir()
    (other / "schema.json5").write_text(SCHEMA)
    told = [["status"], ["view", "state"], ["view", "list"]]
    alone = [run(args, folder) for args in USES]
    lines = [labels(args, folder) for args in told]
    away = [run(["--db", "../data", *args], other) for args in USES]
    with Server(folder):
        for args, before in zip(USES, alone):
            after = run(args, folder)
            check(before == after, f"{args}: {before} without a server, {after} with one")
        for args, before in zip(USES, away):
            after = run(["--db", "../data", *args], other)
            check(before == after, f"{args}: {before} away without a server, {after} with one")
        for args, before in zip(told, lines):
            after = labels(args, folder)
            check(before == after and len(after) > 1, f"{args}: {before} without a server, {after} with one")


def test_writes_files_and_stdin(folder):
    rows = folder / "rows.ndjson"
    rows.write_text('{"n":1}\n{"n":"no"}\n{"n":2}\n')
    with Server(folder):
        _, _, said = run(["ingest", "Feed", "rows.ndjson"], folder, code=1)
        check("refused item 1 (line 2): n: must be an integer, not text" in said, said)
        run(["ingest", "Feed"], folder, stdin='{"n":3}\n' * 30000, code=0)
        _, out, _ = run(["count", "Feed"], folder, code=0)
        check(out == "30002\n", f"{out!r} rows")
        run(["export", "Feed", "feed.parquet"], folder, code=0)
        check((folder / "feed.parquet").stat().st_size > 1000, "the export is the client's")
        run(["view", "create", "Late", "-"], folder, stdin="{ $from: 'Feed', $filter: { n: 2 } }",
            code=0)
        run(["view", "drop", "Late"], folder, code=0)
        run(["checkpoint"], folder, code=0)
        run(["delete", "Feed", "{ n: 2 }"], folder, code=0)
        _, out, _ = run(["compact", "Feed"], folder, code=0)
        done = json.loads(out)
        check(done["filesAfter"] == 1 and done["bytesAfter"] != done["bytesBefore"], out)
        run(["view", "verify", "ByKind"], folder, code=0)


def test_many_clients(folder):
    """Each writes and reads what it wrote; answers do not mix."""
    def client(number):
        for i in range(8):
            run(["create", "Item", json.dumps({"$id": f"c{number}-{i}", "kind": "m", "n": 1})],
                folder, code=0)
            _, out, _ = run(["get", "Item", f"c{number}-{i}"], folder, code=0)
            check(f'"c{number}-{i}"' in out and out.count("$id") == 1, f"client {number}: {out!r}")

    with Server(folder):
        threads = [threading.Thread(target=client, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _, out, _ = run(["get", "ByKind", '["m"]'], folder, code=0)
        check('"sum":48' in out.replace(" ", ""), out)


def test_following_and_interrupts(folder):
    with Server(folder):
        follower = subprocess.Popen([COMMAND, "log", "--follow", "--format", "ndjson"], cwd=folder,
                                    stdout=subprocess.PIPE, text=True)
        run(["create", "Item", '{"$id":"followed","kind":"f","n":1}', "--token", "seen"], folder,
            code=0)
        line = follower.stdout.readline()
        while line and '"seen"' not in line:
            line = follower.stdout.readline()
        check('"seen"' in line, "the follower sees a commit of another client")
        follower.send_signal(signal.SIGINT)
        check(follower.wait(20) == -signal.SIGINT, f"follow ends with {follower.returncode}")
        follower.stdout.close()
        # What was read from stdin so far is committed; the rest never comes.
        feeding = subprocess.Popen([COMMAND, "ingest", "Feed"], cwd=folder, stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        feeding.stdin.write('{"n":77}\n')
        feeding.stdin.flush()
        time.sleep(0.5)
        feeding.send_signal(signal.SIGINT)
        said = feeding.stderr.read()
        check(feeding.wait(20) == 1 and "interrupted" in said, f"{feeding.returncode}: {said}")
        # A reader that has enough ends the client as it ends any command.
        many = subprocess.Popen([COMMAND, "find", "Feed"], cwd=folder, stdout=subprocess.PIPE)
        many.stdout.readline()
        many.stdout.close()
        check(many.wait(60) == -signal.SIGPIPE, f"a broken pipe: {many.returncode}")
        run(["count", "Feed"], folder, code=0)


def test_terminal(folder):
    """Tables and what is typed are the client's terminal's."""
    with Server(folder):
        master, slave = pty.openpty()
        client = subprocess.Popen([COMMAND, "create", "Item"], cwd=folder, stdin=slave,
                                  stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        text = ""
        while "Ctrl-D" not in text:
            text += os.read(master, 1000).decode()
        os.write(master, b'{"kind":"typed","n":5}\n\x04')
        try:
            while True:
                got = os.read(master, 1000).decode()
                if not got:
                    break
                text += got
        except OSError:
            pass
        check(client.wait(30) == 0 and "1 row created" in text, text)
        os.close(master)


def test_an_answer_that_is_cut(folder):
    """A server that ends while somebody reads slowly: the part that was read is no whole answer."""
    rows = "".join(f'{{"kind":"many {"x" * 100}","n":{n}}}\n' for n in range(4000))
    run(["create", "Item", "-", "--token", "many"], folder, stdin=rows, code=0)
    with Server(folder) as server:
        reader = subprocess.Popen([COMMAND, "find", "Item"], cwd=folder, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first = reader.stdout.readline()
        check(first.startswith("{"), f"the answer begins with {first!r}")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        rest, said = reader.communicate(timeout=60)
        lines = 1 + len(rest.splitlines())
        check(lines < 4000, f"all {lines} lines were printed: nothing was cut")
        check(reader.returncode == 1, f"a cut answer ends with {reader.returncode}")
        check("not all of the answer" in said, f"of a cut answer is said {said!r}")
        server.process.communicate(timeout=60)
    run(["delete", "Item", "{ n: { $gte: 0 } }"], folder, code=0)


def test_the_end(folder):
    """Of the socket, of a follower, of a server that was killed; and a second server."""
    with Server(folder) as server:
        mode = (folder / "data" / "server.sock").stat().st_mode
        check(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, oct(mode))
        _, _, said = run(["serve"], folder, code=1)
        check(str(server.process.pid) in said, f"a second server: {said}")
        follower = subprocess.Popen([COMMAND, "log", "--follow"], cwd=folder,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        code, said = server.stop(signal.SIGINT)
        check(code == 0 and "closing" in said, f"{code}: {said}")
        check(follower.wait(20) == 0, f"the follower ends with {follower.returncode}")
    check(not (folder / "data" / "server.sock").exists(), "the socket is gone")
    with Server(folder) as server:
        run(["create", "Item", '{"$id":"last","kind":"z","n":1}'], folder, code=0)
        server.process.kill()
        server.process.communicate()
    check((folder / "data" / "server.sock").exists(), "a killed server leaves its socket")
    run(["get", "Item", "last"], folder, code=0)
    run(["create", "Item", '{"$id":"after","kind":"z","n":1}'], folder, code=0)
    with Server(folder):
        run(["get", "Item", "after"], folder, code=0)


def test_schedule(folder, is_told):
    """Times that nobody was there for are made good when the server starts; nothing to do is no news."""
    with Server(folder) as server:
        until = time.monotonic() + 30
        state = {}
        while time.monotonic() < until and state.get("version") is None:
            _, out, _ = run(["view", "state", "Often"], folder)
            state = json.loads(out)
            time.sleep(0.2)
        check(state.get("lastSlot", "").endswith(":00.000Z"), f"{state}")
        check(state["timezone"] == "Asia/Kolkata" and state["nextRefreshAt"] > state["lastSlot"],
              f"{state}")
        time.sleep(1.5)
        code, said = server.stop()
        check(code == 0 and ("Often: done for" in said) == is_told, said)


def main():
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root)
        (folder / "schema.json5").write_text(SCHEMA)
        run(["init"], folder, code=0)
        run(["create", "Item", json.dumps([{"$id": f"i{i}", "kind": "ab"[i % 2], "n": i}
                                           for i in range(10)])], folder, code=0)
        run(["view", "refresh", "--due"], folder, code=0)
        test_nobody_can_tell(folder)
        test_writes_files_and_stdin(folder)
        test_many_clients(folder)
        test_following_and_interrupts(folder)
        test_terminal(folder)
        test_the_end(folder)
        test_an_answer_that_is_cut(folder)
    for is_told in (False, True):
        with tempfile.TemporaryDirectory() as root:
            folder = pathlib.Path(root)
            (folder / "schema.json5").write_text(SCHEMA.replace("0 0 1 1 *", "* * * * *"))
            run(["init"], folder, code=0)
            if is_told:
                run(["create", "Item", '{"$id":"i","kind":"a","n":1}'], folder, code=0)
            test_schedule(folder, is_told)
    print(f"{len(USES)} uses, {len(failures)} failed, {time.monotonic() - began:.1f} s")
    return 1 if failures else 0


sys.exit(main())
