"""Goal: each public header compiles alone, in C11 and C++17, and includes public headers only; the
shared library exports exactly the functions that the headers mark with PQDB_API."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

PROJECT = pathlib.Path(os.environ["PQ_PROJECT_DIR"])
BUILD = pathlib.Path(os.environ["PQ_BUILD_DIR"])
COMPILERS = [("cc", "c", "c11"), ("c++", "c++", "c++17")]


def compile_alone(header):
    for compiler, language, standard in COMPILERS:
        if shutil.which(compiler) is None:
            yield f"{compiler} is missing: run tools/setup.sh test"
            continue
        done = subprocess.run(
            [compiler, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
             "-fsyntax-only", "-I", PROJECT / "include", "-x", language, "-"],
            input=f"#include <parquedb/{header.name}>\nextern int not_empty;\n",
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"{header.name} as {standard}:\n{done.stderr}"


def check_includes(header):
    for include in re.findall(r'^\s*#\s*include\s+([<"][^>"]+[>"])', header.read_text(), re.M):
        if include.startswith('"') or ("/" in include and not include.startswith("<parquedb/")):
            yield f"{header.name}: includes {include}, which no user has"


def declared(headers):
    code = "".join(re.sub(r"//[^\n]*|/\*.*?\*/", "", header.read_text(), flags=re.S)
                   for header in headers)
    return set(re.findall(r"PQDB_API[^;{]*?\b(pqdb_\w+)\s*\(", code))


def exported():
    listed = subprocess.run(["nm", "-D", "--defined-only", BUILD / "libparquedb.so"],
                            capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in listed.splitlines()}


def main():
    headers = sorted((PROJECT / "include/parquedb").glob("*.h"))
    problems = [problem for header in headers
                for problem in [*compile_alone(header), *check_includes(header)]]
    wanted, given = declared(headers), exported()
    problems += [f"{name}: declared and not exported" for name in sorted(wanted - given)]
    problems += [f"{name}: exported and not declared" for name in sorted(given - wanted)]
    print("\n".join(problems))
    print(f"{len(headers)} headers, {len(wanted)} functions, {len(problems)} problems")
    return 1 if problems or not headers else 0


sys.exit(main())
