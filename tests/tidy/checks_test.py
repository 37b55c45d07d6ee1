"""Goal: every check finds what is planted for it, and says nothing about a clean tree."""
import pathlib
import tempfile
import unittest

import checks

CLEAN = {
    "src/LAYERS": "base :\nflow : base\n",
    "src/base/text.h": "int pq_text(int a);\n",
    "src/base/text.c": '#include "base/text.h"\n\nint pq_text(int a) {\n    return a;\n}\n',
    "src/flow/op.c": '#include "base/text.h"\n#include <zlib.h>\n',
    "README.md": "# A title\n\n[here](#a-title) [there](src/LAYERS) [out](https://example.org)\n",
}
LONG_BODY = "    a++;\n" * 69


def problems_of(check, changes):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**CLEAN, **changes}.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return list(check(checks.Tree(folder)))


class PlantedViolations(unittest.TestCase):
    def finds(self, check, name, text, part):
        found = problems_of(check, {name: text})
        self.assertEqual(len(found), 1, found)
        self.assertIn(part, found[0])

    def passes(self, check, name, text):
        self.assertEqual(problems_of(check, {name: text}), [])

    def test_a_clean_tree_has_no_problem(self):
        for check in checks.CHECKS:
            self.assertEqual(problems_of(check, {}), [], check.__name__)

    def test_layers(self):
        check = checks.check_layers
        self.finds(check, "src/base/up.c", '#include "flow/op.h"\n', "base may not know flow")
        self.finds(check, "src/base/up.c", '#include "text.h"\n', 'write "room/file.h"')
        self.finds(check, "src/flow/in.c", '#include "base/x_internal.h"\n', "private to base")
        self.finds(check, "src/new/x.c", "", "not in src/LAYERS")
        self.finds(check, "src/x.c", "", "no room")
        self.finds(check, "src/LAYERS", "base : flow\nflow : base\n", "before they are listed")
        self.finds(check, "apps/cli/x.c", '#include "flow/op.h"\n', "may not know flow")
        self.finds(check, "examples/x.c", '#include "base/text.h"\n', "may not know base")
        self.passes(check, "apps/cli/x.c", '#include "base/text.h"\n#include "cli/main.h"\n')

    def test_sizes(self):
        check = checks.check_sizes
        body = "static int long_one(int a) {\n" + LONG_BODY + "}\n"
        self.finds(check, "src/base/a.c", body, "long_one: function-lines 71")
        self.passes(check, "src/base/a.c", body.replace("    a++;\n", "", 1))
        self.finds(check, "src/base/a.h", "\n" * 201, "header-lines 201")
        self.finds(check, "src/base/a.c", "\n" * 701, "file-lines 701")
        self.passes(check, "src/base/a.c", "/// longer than 700 lines because x\n" + "\n" * 701)
        self.finds(check, "src/base/a.h", "int six(int a, int b, int c,\n  int d, int e, int f);\n",
                   "six: parameters 6")
        self.finds(check, "src/base/a.h", "__attribute__((format(printf, 1, 2)))\n"
                   "int six(int a, int b, int c, int d, int e, int f, ...);\n", "six: parameters 6")
        self.passes(check, "src/base/a.h", "int five(int a, int (*b)(int, int), int c, int d,\n"
                    "int e, pqdb_error *err);\n")

    def test_the_ratchet_only_turns_one_way(self):
        body = "static int long_one(int a) {\n" + LONG_BODY + "}\n"
        for value, part in ((70, "at most 70"), (71, None), (72, "lower it")):
            found = problems_of(checks.check_sizes, {
                "src/base/a.c": body,
                "tests/tidy/ratchet.txt": f"# why\nfunction-lines src/base/a.c:long_one {value}\n"})
            self.assertEqual(len(found), part is not None, found)
            if part:
                self.assertIn(part, found[0])
        self.finds(checks.check_sizes, "tests/tidy/ratchet.txt", "header-lines src/x.h 300\n",
                   "remove it")

    def test_lines(self):
        check = checks.check_lines
        self.finds(check, "src/base/a.c", "x" * 101 + "\n", "101 characters")
        self.finds(check, "src/base/a.c", "int a; \n", "blanks")
        self.finds(check, "src/base/a.c", "\tint a;\n", "tab")
        self.finds(check, "src/base/a.c", "int a;", "newline")

    def test_bans(self):
        check = checks.check_bans
        for call, part in (("sprintf(a, b)", "unbounded"), ("atoi(a)", "hides errors"),
                           ("strtok(a, b)", "changes its input"), ("free(a)", "allocator"),
                           ("getenv(a)", "base/env"), ("printf(a)", "only apps"),
                           ("assert(a)", "pq_assert")):
            self.finds(check, "src/flow/a.c", f"void f(void) {{ {call}; }}\n", part)
        self.passes(check, "src/flow/a.c", '// free(a)\nconst char *t = "free(a)"; a->free(a);\n')
        self.passes(check, "src/base/alloc.c", "void f(void) { free(a); }\n")
        self.passes(check, "tests/unit/a_test.c", "void f(void) { free(a); }\n")

    def test_doorways(self):
        self.finds(checks.check_doorways, "src/base/a.c", "#include <zlib.h>\n", "zlib has 2")

    def test_foreign(self):
        check = checks.check_foreign
        self.finds(check, "docs/a.txt", "see /wo" + "rk/main\n", "names")
        self.finds(check, "Makefile", "https://py" + "pi.org/x\n", "names")
        self.passes(check, "docs/a.txt", "artwo" + "rk/main and network/\n")

    def test_dead_files(self):
        check = checks.check_dead_files
        self.finds(check, "src/base/unused.h", "", "nothing names it")
        self.finds(check, "tests/cases/base/a.cases", "", "nothing names it")
        self.finds(check, "tools/old.sh", "", "nothing names it")

    def test_links(self):
        check = checks.check_links
        self.finds(check, "docs/a.md", "[x](gone.md)\n", "leads nowhere")
        self.finds(check, "docs/a.md", "[x](../README.md#other)\n", "no such heading")
        self.passes(check, "docs/a.md", "[x](../README.md#a-title) `[x](gone.md)`\n")


if __name__ == "__main__":
    unittest.main()
