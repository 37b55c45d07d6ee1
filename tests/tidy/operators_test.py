"""docs/expressions.md lists the operators of src/expr/functions.def, each with its help."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATTERNS = {
    "field": r'^PQ_FIELD\((\w+), "([^"]*)"\)$',
    "logical": r'^PQ_LOGICAL\((\w+), "([^"]*)"\)$',
    "function": r'^PQ_FUNCTION\("\$(\w+)", .*, "([^"]*)"\)$',
}


def tables():
    text = (ROOT / "src/expr/functions.def").read_text()
    for kind, pattern in PATTERNS.items():
        rows = re.findall(pattern, text, re.M)
        assert rows, kind
        yield kind, "\n".join(f"| `${name}` | {help} |" for name, help in rows)


def main():
    doc = (ROOT / "docs/expressions.md").read_text()
    missing = [(kind, table) for kind, table in tables() if table not in doc]
    for kind, table in missing:
        print(f"docs/expressions.md: the table of {kind} operators should be\n\n{table}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
