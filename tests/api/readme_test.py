"""Goal: every complete C program in README.md and docs compiles against the library and runs."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROJECT = pathlib.Path(os.environ["PQ_PROJECT_DIR"])
BUILD = pathlib.Path(os.environ["PQ_BUILD_DIR"])


def programs():
    for page in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]:
        text = page.read_text() if page.exists() else ""
        for block in re.findall(r"^```c\n(.*?)^```", text, re.S | re.M):
            if re.search(r"\bint main\b", block):
                yield page.name, block


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
    for page, code in programs():
        count += 1
        with tempfile.TemporaryDirectory() as folder:
            problem = run(code, pathlib.Path(folder))
        if problem:
            failed += 1
            print(f"{page}, program {count}: {problem}")
    print(f"{count} programs, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
