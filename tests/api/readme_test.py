"""Goal: every complete C program in README.md and docs compiles against the library and runs; every
shell session there that begins with an example's schema runs too, and prints what stands below it."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROJECT = pathlib.Path(os.environ["PQ_PROJECT_DIR"])
BUILD = pathlib.Path(os.environ["PQ_BUILD_DIR"])


def pages():
    for page in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]:
        yield page, page.read_text() if page.exists() else ""


def programs():
    for page, text in pages():
        for block in re.findall(r"^```c\n(.*?)^```", text, re.S | re.M):
            if re.search(r"\bint main\b", block):
                yield page.name, block


def sessions():
    block = r"^```sh\n(parquedb init examples/.*?)^```\n(?:\n```text\n(.*?)^```)?"
    for page, text in pages():
        for commands, shown in re.findall(block, text, re.S | re.M):
            yield page.name, commands, shown


def play(commands, shown, folder):
    """As on a terminal; afterwards every view equals its recomputation."""
    (folder / "examples").symlink_to(PROJECT / "examples")
    script = ('parquedb() { [ "$1" = find ] && set -- --format table "$@"; command parquedb "$@"; }\n'
              + commands)
    ran = subprocess.run(["bash", "-euc", script + "parquedb view verify\n"], cwd=folder, timeout=60,
                         capture_output=True, text=True, check=False,
                         env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"})
    if ran.returncode != 0:
        return f"exit code {ran.returncode}\n{ran.stdout}{ran.stderr}"
    return "" if shown in ran.stdout else f"it prints\n{ran.stdout}"


def sanitizers():
    cache = (BUILD / "CMakeCache.txt").read_text()
    chosen = re.search(r"^PQ_SANITIZE:STRING=(.+)$", cache, re.M)
    return [f"-fsanitize={chosen[1]}"] if chosen else []


def run(code, folder):
    (folder / "program.c").write_text(code)
    built = subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", *sanitizers(), "program.c", "-o", "program",
         "-I", PROJECT / "include", "-L", BUILD, f"-Wl,-rpath,{BUILD}", "-lparquedb"],
        cwd=folder, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        return built.stderr
    ran = subprocess.run(["./program"], cwd=folder, capture_output=True, text=True, timeout=60,
                         check=False)
    return "" if ran.returncode == 0 else f"exit code {ran.returncode}\n{ran.stdout}{ran.stderr}"


def main():
    failed = count = 0
    tries = [(page, lambda folder, code=code: run(code, folder)) for page, code in programs()]
    for page, commands, shown in sessions():
        tries.append((page, lambda folder, a=commands, b=shown: play(a, b, folder)))
    for page, attempt in tries:
        count += 1
        with tempfile.TemporaryDirectory() as folder:
            problem = attempt(pathlib.Path(folder))
        if problem:
            failed += 1
            print(f"{page}, example {count}: {problem}")
    print(f"{count} examples, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
