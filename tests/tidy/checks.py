"""What keeps the tree tidy: each check takes a Tree and yields problems, one line each.

A limit that some file exceeds on purpose stands in ratchet.txt, one "check path value" a line: it may
shrink there and never grow.
"""
import pathlib
import re
import subprocess

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 700
HEADER_LINES_MAX = 200
LINE_CHARS_MAX = 100
PARAMETERS_MAX = 5
LONG_FILE_REASON = "longer than 700 lines because"

C_FOLDERS = ("src", "include", "apps", "bindings", "tests", "examples", "bench")

# Headers of other people's libraries; each group is included from one file.
DOORWAYS = {
    "yyjson": r"yyjson\.h",
    "zstd": r"zstd(_errors)?\.h",
    "lz4": r"lz4(hc|frame)?\.h",
    "snappy": r"snappy(-c)?\.h",
    "zlib": r"zlib\.h",
    "brotli": r"brotli/.*",
    "xxhash": r"xxhash\.h",
    "pcre2": r"pcre2\.h",
    "sqlite": r"sqlite3\.h",
    "curl": r"curl/.*",
    "microhttpd": r"microhttpd\.h",
    "roaring": r"roaring/.*",
}

# pattern, where it is banned, where it is not, what to do instead
BANS = [
    (r"\b(v?sprintf|strcpy|strcat|gets)\s*\(", C_FOLDERS, (), "unbounded: snprintf or pq_bytes"),
    (r"\b(atoi|atol|atoll|atof)\s*\(", C_FOLDERS, (), "hides errors: strtol, strtod or a parser"),
    (r"\bstrtok(_r)?\s*\(", C_FOLDERS, (), "changes its input: pq_text"),
    (r"\b(malloc|calloc|realloc|free|strdup)\s*\(", ("src", "apps"), ("src/base",),
     "the allocator is an argument: pq_resize, pq_free, an arena"),
    (r"\b(clock_gettime|gettimeofday|getrandom|getenv|time|rand|random)\s*\(", ("src",),
     ("src/base",), "clock, randomness and environment come through base/env"),
    (r"\b(printf|puts|fprintf|perror)\s*\(", ("src",), ("src/base/check.h",),
     "only apps print; report with pq_fail"),
    (r"\bassert\s*\(", ("src", "apps"), (), "asserts stay on in release: pq_assert"),
]

# Spelled in halves, so that this list does not find itself.
FOREIGN = [
    r"(?<![\w.])/wo" r"rk/", r"(?<![\w.])/fa" r"rm/", r"\bsub" r"agent", r"deb\.deb" r"ian\.org",
    r"registry\.npm" r"js", r"py" r"pi\.org", r"pythonhos" r"ted\.org", r"crat" r"es\.io",
    r"proxy\.gol" r"ang\.org", r"nodeso" r"urce\.com",
]


class Tree:
    """The files of a project: those that git would commit, or all of a folder without git."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"],
                                cwd=self.root, capture_output=True, check=False)
        if listed.returncode == 0 and (self.root / ".git").exists():
            names = listed.stdout.decode().split("\0")[:-1]
        else:
            names = [str(path.relative_to(self.root)) for path in self.root.rglob("*")]
        self.names = sorted(name for name in names if (self.root / name).is_file())
        self.texts = {}
        for name in self.names:
            data = (self.root / name).read_bytes()
            if b"\0" not in data[:8192]:
                self.texts[name] = data.decode("utf-8", errors="replace")

    def c_files(self, *folders):
        for name, text in self.texts.items():
            if name.endswith((".c", ".h")) and name.split("/")[0] in (folders or C_FOLDERS):
                yield name, text


def strip_comments(text):
    """C without comments and the insides of strings; line numbers stay."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def blank(match):
        token = match[0]
        if token.startswith("/"):
            return "\n" * token.count("\n")
        return token[0] * 2
    return re.sub(pattern, blank, text, flags=re.S)


def read_layers(tree):
    allowed, problems = {}, []
    for line in tree.texts.get("src/LAYERS", "").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        room, names = (part.strip() for part in line.split(":"))
        unknown = sorted(set(names.split()) - set(allowed))
        if unknown:
            problems.append(f"src/LAYERS: {room} names {unknown} before they are listed")
        allowed[room] = set(names.split()) | {room}
    return allowed, problems


def check_layers(tree):
    """src/LAYERS holds; apps see base and net; examples and bindings the public headers only."""
    allowed, problems = read_layers(tree)
    yield from problems
    outer = {"apps": {"base", "net"}, "examples": set(), "bindings": set(), "include": set()}
    for name, text in tree.c_files("src", *outer):
        parts = name.split("/")
        if parts[0] == "src" and len(parts) < 3:
            yield f"{name}: belongs to no room"
            continue
        room = parts[1] if parts[0] == "src" else parts[0]
        if parts[0] == "src" and room not in allowed:
            yield f"{name}: the room {room} is not in src/LAYERS"
            continue
        own = allowed[room] if parts[0] == "src" else outer[room] | set(parts[1:-1])
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            other = match[1].split("/")[0]
            if "/" not in match[1] and parts[0] in ("src", "apps"):
                yield f'{name}:{number}: write "room/file.h"'
            elif "/" in match[1] and other not in own:
                yield f"{name}:{number}: {room} may not know {other}"
            elif match[1].endswith("_internal.h") and other not in (room, *parts[1:-1]):
                yield f"{name}:{number}: {match[1]} is private to {other}"


def functions(text):
    """(line, name, lines, parameters) of each definition; declarations have 0 lines."""
    code = strip_comments(text)
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m[0].count("\n"), code,
                  flags=re.M)
    code = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", "", code)
    pattern = re.compile(r"^(?!typedef|struct \w+ \{|enum|union)[A-Za-z_][^;{}=]*?"
                         r"\b(\w+)\s*\(([^;{}]*)\)\s*([;{])", re.M)
    at = 0
    while match := pattern.search(code, at):
        at = match.end()
        line = code.count("\n", 0, match.start()) + 1
        lines = 0
        if match[3] == "{":
            depth = 1
            while depth > 0 and at < len(code):
                depth += {"{": 1, "}": -1}.get(code[at], 0)
                at += 1
            lines = code.count("\n", match.start(), at) + 1
        yield line, match[1], lines, count_parameters(match[2])


def count_parameters(text):
    """`err`, which every fallible function takes last, is not counted; nor is "..."."""
    text = re.sub(r",\s*pqdb_error \*err\s*$", "", text)
    depth, count = 0, 1
    if text.strip() in ("", "void"):
        return 0
    for char in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(char, 0)
        count += char == "," and depth == 0
    return count - text.rstrip().endswith("...")


def measure_sizes(tree):
    """(check, path, value, limit) of everything beyond a limit."""
    for name, text in tree.c_files():
        lines = text.splitlines()
        if name.endswith(".h") and len(lines) > HEADER_LINES_MAX:
            yield "header-lines", name, len(lines), HEADER_LINES_MAX
        if len(lines) > FILE_LINES_MAX and LONG_FILE_REASON not in lines[0]:
            yield "file-lines", name, len(lines), FILE_LINES_MAX
        for line, function, length, parameters in functions(text):
            where = f"{name}:{function}"
            if length > FUNCTION_LINES_MAX:
                yield "function-lines", where, length, FUNCTION_LINES_MAX
            is_declared_elsewhere = name.endswith(".c") and function.startswith("pq")
            if parameters > PARAMETERS_MAX and not is_declared_elsewhere:
                yield "parameters", where, parameters, PARAMETERS_MAX


def check_sizes(tree):
    """Sizes of files, headers, functions and parameter lists, less what ratchet.txt allows."""
    granted = {}
    for line in tree.texts.get("tests/tidy/ratchet.txt", "").splitlines():
        if line.strip() and not line.startswith("#"):
            check, where, value = line.split()
            granted[check, where] = int(value)
    for check, where, value, limit in measure_sizes(tree):
        grant = granted.pop((check, where), limit)
        if value > grant:
            yield f"{where}: {check} {value}, at most {grant}"
        elif value < grant:
            yield f"{where}: {check} is {value} now: lower it in tests/tidy/ratchet.txt"
    for check, where in granted:
        yield f"{where}: {check} keeps its limit now: remove it from tests/tidy/ratchet.txt"


def check_lines(tree):
    """No long line, tab, carriage return or blank at a line's end in C."""
    for name, text in tree.c_files():
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > LINE_CHARS_MAX:
                yield f"{name}:{number}: {len(line)} characters, at most {LINE_CHARS_MAX}"
            if line != line.rstrip() or "\t" in line:
                yield f"{name}:{number}: a tab, or blanks at the end"
        if text and not text.endswith("\n"):
            yield f"{name}: no newline at its end"


def check_bans(tree):
    """Calls that the house does not make."""
    for name, text in tree.c_files():
        code = strip_comments(text).splitlines()
        for pattern, folders, exempt, advice in BANS:
            if name.split("/")[0] not in folders or name.startswith(exempt or ("\0",)):
                continue
            for number, line in enumerate(code, 1):
                match = re.search(r"(?<![.>])" + pattern, line)
                if match and not line.lstrip().startswith("#"):
                    yield f"{name}:{number}: {match[0]}…): {advice}"


def check_doorways(tree):
    """Another project's header is included from one file."""
    for library, pattern in DOORWAYS.items():
        doors = [name for name, text in tree.c_files()
                 if re.search(rf"^\s*#\s*include\s+[<\"]{pattern}[>\"]", text, re.M)]
        if len(doors) > 1:
            yield f"{library} has {len(doors)} doorways: {', '.join(doors)}"


def check_foreign(tree):
    """No host of a registry, no path of one machine."""
    for name, text in tree.texts.items():
        if name.endswith("-lock.json"):
            continue
        for pattern in FOREIGN:
            for match in re.finditer(pattern, text):
                number = text.count("\n", 0, match.start()) + 1
                yield f"{name}:{number}: names '{match[0]}'"


def check_dead_files(tree):
    """Headers are included, case files and scripts named, by some other file."""
    searched = {name: text for name, text in tree.texts.items() if name.endswith(
        (".c", ".h", ".py", ".sh", ".mjs", ".js", "CMakeLists.txt", ".cmake", ".md",
         "Makefile", ".ci/run"))}
    for name in tree.names:
        path = pathlib.PurePath(name)
        if path.suffix == ".h":
            shown = "/".join(path.parts[1:])
        elif path.suffix == ".cases":
            shown = "/".join(path.parts[2:])
        elif path.suffix in (".cmake", ".sh", ".py") and not re.search(r"_test\.\w+$", name):
            shown = path.stem if path.suffix == ".py" else path.name
        elif path.suffix == ".md" and len(path.parts) > 1:
            shown = path.name
        else:
            continue
        if not any(shown in text for other, text in searched.items() if other != name):
            yield f"{name}: nothing names it; use it or remove it"


def anchors_of(text):
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower())
        yield slug.replace(" ", "-")


def check_links(tree):
    """Relative links of *.md lead to a file, and to a heading where they name one."""
    for name, text in tree.texts.items():
        if not name.endswith(".md"):
            continue
        prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.S | re.M)
        for target in re.findall(r"\]\(([^)\s]+)[^)]*\)", prose):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            path = (tree.root / name).parent / file if file else tree.root / name
            if not path.exists():
                yield f"{name}: the link {target} leads nowhere"
            elif anchor and path.suffix == ".md" and anchor not in anchors_of(path.read_text()):
                yield f"{name}: {target}: no such heading"


CHECKS = [check_layers, check_sizes, check_lines, check_bans, check_doorways, check_foreign,
          check_dead_files, check_links]
