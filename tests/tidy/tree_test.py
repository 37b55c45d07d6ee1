"""Goal: the tree keeps the rules of STYLE.md. Prints every line that does not."""
import pathlib
import sys

import checks


def main():
    tree = checks.Tree(pathlib.Path(__file__).resolve().parents[2])
    count = 0
    for check in checks.CHECKS:
        for problem in check(tree):
            print(f"{check.__name__.removeprefix('check_')}: {problem}")
            count += 1
    print(f"{len(tree.names)} files, {count} problems")
    return 1 if count else 0


sys.exit(main())
