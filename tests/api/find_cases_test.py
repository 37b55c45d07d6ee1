"""Goal: answers as people and programs see them: tests/cases/command/find.cases, line by line.

The first block is the world: a schema, and commands that fill it. Every other block runs its commands over a copy of that,
and tells what they print: stdout as it is, each line of stderr behind "! ", an exit code that is not 0 as "exit N". Times
and sizes are left out; the nth cursor is called C<n>, and may be given by that name.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

PROJECT = pathlib.Path(os.environ["PQ_PROJECT_DIR"])
COMMAND = pathlib.Path(os.environ["PQ_BUILD_DIR"]) / "parquedb"
FILE = PROJECT / "tests" / "cases" / "command" / "find.cases"


def read_blocks():
    """(line, name, parts) of each block."""
    blocks = []
    for number, line in enumerate(FILE.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        if line.startswith("== "):
            blocks.append((number, line[3:], [[]]))
        elif line == "--":
            blocks[-1][2].append([])
        elif blocks:
            blocks[-1][2][-1].append(line.removeprefix("\\"))
    return [(number, name, ["\n".join(part).strip("\n") for part in parts])
            for number, name, parts in blocks]


class Session:
    def __init__(self, folder):
        self.folder = folder
        self.cursors = []

    def run(self, line):
        """What a command prints, in one text."""
        args = [self.cursors[int(word[1:]) - 1] if re.fullmatch(r"C\d+", word) else word
                for word in shlex.split(line)]
        ran = subprocess.run([COMMAND, "--db", "db", *args], cwd=self.folder, capture_output=True,
                             stdin=subprocess.DEVNULL, timeout=120, check=False)
        out, err = ran.stdout.decode(), ran.stderr.decode()
        for cursor in re.findall(r"follow: --cursor (\S+)", err):
            self.cursors.append(cursor)
            err = err.replace(cursor, f"C{len(self.cursors)}")
        out = re.sub(r"^(took|bytes) +.*\n", "", out, flags=re.M)
        out = re.sub(r'"bytes":\{.*?\},', "", out)
        out = re.sub(r'"(ms|durationMs|fileBytes)":[\d.]+', r'"\1":0', out)
        text = out.replace("\r\n", "<CR>\n") + "".join(f"! {told}\n" for told in err.splitlines())
        return text + (f"exit {ran.returncode}\n" if ran.returncode != 0 else "")


def main():
    blocks = read_blocks()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        world = pathlib.Path(folder) / "world"
        world.mkdir()
        (world / "schema.json5").write_text(blocks[0][2][0], encoding="utf-8")
        session = Session(world)
        for line in ["init schema.json5", *blocks[0][2][1].splitlines()]:
            text = session.run(line)
            if "exit" in text:
                sys.exit(f"{FILE.name}: {line}: {text}")
        for number, name, (commands, expected) in blocks[1:]:
            copy = pathlib.Path(folder) / "copy"
            shutil.copytree(world, copy)
            session = Session(copy)
            got = "".join(map(session.run, commands.splitlines())).rstrip("\n")
            if got != expected:
                failures += 1
                print(f"{FILE.name}:{number}: {name}\n{commands}\nexpected:\n{expected}\ngot:\n{got}\n")
            shutil.rmtree(copy)
    print(f"{len(blocks) - 1} cases, {failures} failed")
    sys.exit(1 if failures or len(blocks) < 2 else 0)


main()
