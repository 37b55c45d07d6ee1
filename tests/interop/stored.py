"""Reads the files of a database by docs/format.md alone: log, roots, tables, runs, filters of ids.

Nothing of ParqueDB is used: XXH3 is libxxhash's, LZ4 pyarrow's. What does not hold raises Broken."""
import ctypes
import ctypes.util
import datetime
import json
import os
import struct
from decimal import Decimal

import pyarrow

_xxhash = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Broken(Exception):
    """Bytes that are not what docs/format.md says."""


def need(condition, what):
    if not condition:
        raise Broken(what)


def check_of(data):
    return _xxhash.XXH3_64bits(bytes(data), len(data))


def padded(length):
    return (length + 7) // 8 * 8


def lz4(data, length):
    return pyarrow.decompress(data, decompressed_size=length, codec="lz4_raw", asbytes=True)


class Cursor:
    """Little-endian numbers, one after the other."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, length):
        need(self.at + length <= len(self.data), "it is cut off")
        self.at += length
        return self.data[self.at - length:self.at]

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value


# ---- Parquet's variants --------------------------------------------------------------------------

def read_names(metadata):
    """Parquet's variant metadata: its names, and its length."""
    width = (metadata[0] >> 6) + 1

    def number(index):
        return int.from_bytes(metadata[1 + index * width:1 + (index + 1) * width], "little")

    count = number(0)
    start = 1 + (count + 2) * width
    offsets = [number(1 + i) for i in range(count + 1)]
    names = [metadata[start + a:start + b].decode() for a, b in zip(offsets, offsets[1:])]
    return names, start + offsets[-1]


def read_variant(data, names):
    """A value as JSON would have it; decimals as Decimal."""
    basic, kind = data[0] & 3, data[0] >> 2
    if basic == 1:
        return data[1:1 + kind].decode()
    if basic == 0:
        return read_primitive(data, kind)
    if basic == 2:
        offset_width, id_width, large = (kind & 3) + 1, (kind >> 2 & 3) + 1, kind >> 4 & 1
    else:
        offset_width, id_width, large = (kind & 3) + 1, 0, kind >> 2 & 1
    at = 1 + (4 if large else 1)
    count = int.from_bytes(data[1:at], "little")
    ids = [int.from_bytes(data[at + i * id_width:at + (i + 1) * id_width], "little")
           for i in range(count)]
    at += count * id_width
    offsets = [int.from_bytes(data[at + i * offset_width:at + (i + 1) * offset_width], "little")
               for i in range(count + 1)]
    at += (count + 1) * offset_width
    values = [read_variant(data[at + offset:], names) for offset in offsets[:count]]
    return values if basic == 3 else {names[name]: value for name, value in zip(ids, values)}


def read_primitive(data, kind):
    fixed = {3: "<b", 4: "<h", 5: "<i", 6: "<q", 7: "<d", 14: "<f"}
    if kind in (0, 1, 2):
        return (None, True, False)[kind]
    if kind in fixed:
        return struct.unpack_from(fixed[kind], data, 1)[0]
    if kind in (8, 9, 10):
        width = {8: 4, 9: 8, 10: 16}[kind]
        return Decimal(int.from_bytes(data[2:2 + width], "little", signed=True)).scaleb(-data[1])
    if kind == 16:
        return data[5:5 + struct.unpack_from("<I", data, 1)[0]].decode()
    raise Broken(f"a variant of kind {kind}")


# ---- columns -------------------------------------------------------------------------------------

BOOL, INT64, FLOAT32, FLOAT64, DECIMAL, DATE, TIME, TIMESTAMP = 1, 2, 3, 4, 5, 6, 7, 8
TEXT, BINARY, LIST, OBJECT, VARIANT = 9, 10, 11, 12, 13
WIDTHS = {BOOL: 1, FLOAT32: 4, DATE: 4, DECIMAL: 16}


class Chunk:
    """A chunk's header and content; `cursor` stands behind it."""

    def __init__(self, cursor):
        (self.place, self.kind, self.encoding, codec, self.marks, self.scale, zero, length,
         stored) = struct.unpack("<HBBBBBBII", cursor.take(16))
        need(zero == 0, "a chunk's zero")
        data = cursor.take(padded(stored))
        need(not any(data[stored:]), "a chunk's padding")
        need(codec in (0, 1), "a codec")
        self.content = lz4(data[:stored], length) if codec == 1 else data[:stored]
        need(len(self.content) == length, "a chunk's length")

    def value(self, data, is_own, names):
        if self.kind in (TEXT, BINARY):
            return data.decode() if self.kind == TEXT else bytes(data)
        if self.kind == VARIANT:
            if is_own:
                own, length = read_names(data)
                return read_variant(data[length:], own)
            return read_variant(data, names)
        if self.kind == DECIMAL:
            return Decimal(int.from_bytes(data, "little", signed=True)).scaleb(-self.scale)
        codes = {BOOL: "?", INT64: "q", FLOAT32: "f", FLOAT64: "d", DATE: "i", TIME: "q",
                 TIMESTAMP: "q"}
        number = struct.unpack("<" + codes[self.kind], data)[0]
        if self.kind == DATE:
            return (EPOCH + datetime.timedelta(days=number)).date()
        if self.kind == TIME:
            return (EPOCH + datetime.timedelta(microseconds=number)).time()
        if self.kind == TIMESTAMP:
            return EPOCH + datetime.timedelta(microseconds=number)
        return number

    def row_marks(self, rows):
        if self.marks == 2:
            return list(self.content[len(self.content) - rows:]) if rows else []
        return [{0: 1, 1: 0, 3: 2}[self.marks]] * rows


def ranges(content, at, rows):
    offsets = struct.unpack_from(f"<{rows + 1}I", content, at)
    need(offsets[0] == 0, "the first offset")
    return offsets, at + 4 * (rows + 1)


def read_column(cursor, rows, part):
    """(place, values) of the column that begins at the cursor; None where there is no value."""
    chunk = Chunk(cursor)
    if chunk.encoding == 5:
        return chunk.place, read_same(cursor, chunk, part)
    return chunk.place, read_values(cursor, chunk, rows, part)


def read_same(cursor, chunk, part):
    places = struct.unpack(f"<{len(chunk.content) // 4}I", chunk.content)
    went = read_column(cursor, part.minus, part)[1]
    fresh = part.plus - part.minus
    others = read_column(cursor, len(places) + fresh, part)[1]
    came = list(went)
    for place, value in zip(places, others):
        came[place] = value
    return went + came + others[len(places):]


def read_values(cursor, chunk, rows, part):
    content, marks = chunk.content, chunk.row_marks(rows)
    read = {1: read_constant, 2: read_fixed, 3: read_bytes, 4: read_dictionary, 6: read_counting,
            7: read_seq}
    if chunk.encoding in read:
        values = read[chunk.encoding](chunk, content, rows, marks, part)
    elif chunk.encoding == 8:
        offsets, _ = ranges(content, 0, rows)
        elements = read_column(cursor, offsets[-1], part)[1]
        values = [elements[a:b] for a, b in zip(offsets, offsets[1:])]
    elif chunk.encoding == 9:
        # As many members as the type has: the part's reader knows, see Part.members.
        names = part.members(chunk)
        columns = dict(read_column(cursor, rows, part) for _ in names)
        values = [{name: columns[i][row] for i, name in enumerate(names)} for row in range(rows)]
    else:
        raise Broken(f"encoding {chunk.encoding}")
    return [None if mark == 0 else value for mark, value in zip(marks, values)]


def read_constant(chunk, content, rows, marks, part):
    if chunk.marks == 1:
        return [None] * rows
    length = WIDTHS.get(chunk.kind, 8) if chunk.kind < TEXT else len(content)
    return [chunk.value(content[:length], chunk.marks == 3, part.names)] * rows


def read_fixed(chunk, content, rows, marks, part):
    width = WIDTHS.get(chunk.kind, 8)
    return [chunk.value(content[i * width:(i + 1) * width], False, part.names) if marks[i] else None
            for i in range(rows)]


def read_bytes(chunk, content, rows, marks, part):
    offsets, at = ranges(content, 0, rows)
    return [chunk.value(content[at + a:at + b], mark == 2, part.names) if mark else None
            for a, b, mark in zip(offsets, offsets[1:], marks)]


def read_dictionary(chunk, content, rows, marks, part):
    count = struct.unpack_from("<I", content)[0]
    offsets, at = ranges(content, 4, count)
    code = "B" if count <= 256 else "H" if count <= 65536 else "I"
    codes = struct.unpack_from(f"<{rows}{code}", content, at)
    at += rows * struct.calcsize(code)
    entries = [content[at + a:at + b] for a, b in zip(offsets, offsets[1:])]
    return [chunk.value(entries[code], mark == 2, part.names) if mark else None
            for code, mark in zip(codes, marks)]


def read_counting(chunk, content, rows, marks, part):
    first = struct.unpack_from("<q", content)[0]
    return [chunk.value(struct.pack("<q", first + i), False, part.names) for i in range(rows)]


def read_seq(chunk, content, rows, marks, part):
    return [part.first_seq + i for i in range(rows)]


# ---- the log -------------------------------------------------------------------------------------

class Part:
    """Form 1: rows that go, then rows that come, as dicts of the columns of `fields`."""

    def __init__(self, data, known):
        (form, flags, columns, length, self.collection, self.schema, self.minus, self.plus,
         self.first_seq) = struct.unpack("<BBHIIIIIQ", data[:32])
        need(form == 1 and length == len(data), "a part of rows")
        self.fields = known.fields(self.collection, self.schema)
        self.names = known.names.setdefault(self.collection, [])
        self.path = [self.fields]
        cursor, rows = Cursor(data, 32), self.minus + self.plus
        table = {}
        for _ in range(columns):
            self.begin = cursor.at
            field = self.fields[struct.unpack_from("<H", data, cursor.at)[0]]
            self.field = field
            place, values = read_column(cursor, rows, self)
            table[self.fields[place]["name"]] = values
        need(not any(data[cursor.at:]), "a part's end")
        self.rows = [{name: values[row] for name, values in table.items()} for row in range(rows)]

    def members(self, chunk):
        """Names of the members of the column that is being read: an object, or objects in lists."""
        def find(field):
            if field.get("type") == "object" or (field.get("fields") and chunk.kind == OBJECT and
                                                 field["type"] != "list"):
                return [member["name"] for member in field["fields"]]
            return find(field["fields"][0])
        return find(self.field)


class Frame:
    HEADER = struct.Struct("<Q4sBBHQQQQqII")

    def __init__(self, data, at):
        need(len(data) - at >= 64, "the end")
        (self.check, magic, self.format, self.flags, zero, self.number, self.nonce, self.before,
         self.first_version, self.time_us, self.commits, self.length) = \
            self.HEADER.unpack_from(data, at)
        need(magic == b"PQDF" and self.format == 1 and zero == 0, "no frame")
        need(64 <= self.length <= (16 << 20) + 64 and at + self.length <= len(data), "no frame")
        self.data = data[at:at + self.length]
        need(check_of(self.data[8:]) == self.check, "no frame")


class Commit:
    def __init__(self, version, time_us, kind, token, parts):
        self.version, self.time_us, self.kind = version, time_us, kind
        self.token, self.parts, self.payload = token, [], None
        self.raw = parts


class Known:
    """What decoding needs beside the log: columns of tables, and names of variants so far."""

    def __init__(self, tables):
        self.tables = {table["id"]: table for table in tables}
        self.names = {}

    def fields(self, collection, schema):
        return self.tables[collection]["shapes"][schema]

    def learn(self, data):
        (form, flags, zero, length, collection, first, count, _, _) = \
            struct.unpack("<BBHIIIIIQ", data[:32])
        names = self.names.setdefault(collection, [])
        cursor = Cursor(data, 32)
        need(first <= len(names), "names are missing")
        for i in range(count):
            name = cursor.take(cursor.varint()).decode()
            if first + i == len(names):
                names.append(name)
            need(names[first + i] == name, "a name has changed")


def read_segments(folder):
    """Frames that count, in order; the chain holds from the first to the last."""
    frames, check = [], None
    names = sorted(name for name in os.listdir(folder) if name.endswith(".log"))
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        if len(data) < 64:
            continue
        own, magic, form, number, nonce, first, version, before, _ = \
            struct.unpack_from("<Q4sIQQQQQq", data)
        if check_of(data[8:64]) != own or magic != b"PQDS" or number != int(name[:12]):
            continue  # a spare
        need(form == 1, "a segment's format")
        at = 64
        while True:
            try:
                frame = Frame(data, at)
                need(frame.nonce == nonce, "of another segment")
            except Broken:
                break
            at += frame.length
            if frames and frame.flags & 1 and frame.number == frames[-1].number:
                check = frame.check  # a copy of the last one
                continue
            need(check is None or frame.before == check, f"{name}: the chain of checks")
            need(not frames or frame.number == frames[-1].number + 1, f"{name}: a frame's number")
            frames.append(frame)
            check = frame.check
    return frames


def read_log(folder, known):
    """Commits in order, with their parts decoded."""
    commits, open_one = [], None
    for frame in read_segments(folder):
        cursor = Cursor(frame.data, 64)
        for index in range(frame.commits):
            begin = cursor.at
            kind, flags, token_bytes, zero, parts, length, more = \
                struct.unpack("<BBBBIII", cursor.take(16))
            need(zero == 0 and more == 0, "a commit's zeros")
            body = cursor.take(length - 16)
            if not flags & 2:
                open_one = [frame.first_version + index, frame.time_us, kind, token_bytes, b""]
            open_one[4] += body
            need(cursor.at == begin + length, "a commit's length")
            if not flags & 1:
                commits.append(finish_commit(open_one, known))
    return commits


def finish_commit(pieces, known):
    version, time_us, kind, token_bytes, body = pieces
    token = body[:token_bytes].decode()
    commit = Commit(version, time_us, kind, token, body)
    at = padded(token_bytes)
    while at < len(body):
        form, flags = body[at], body[at + 1]
        length = struct.unpack_from("<I", body, at + 4)[0]
        data = body[at:at + length]
        if form == 1:
            commit.parts.append(Part(data, known))
        elif form == 2:
            known.learn(data)
        elif form == 3:
            raw, stored = struct.unpack_from("<II", data, 8)
            payload = data[32:32 + stored]
            commit.payload = lz4(payload, raw) if flags & 2 else payload
        else:
            raise Broken(f"a part of form {form}")
        at += length
    return commit


# ---- the other files -----------------------------------------------------------------------------

def read_tables(root):
    """The generation of _state/tables.json that holds, after the schema's own line was checked."""
    with open(os.path.join(root, "schema.json5"), "rb") as file:
        schema = file.read()
    text, mark, line = schema.rpartition(b"\n// parquedb check ")
    need(mark and int(line[:16], 16) == check_of(text), "the schema's line")
    with open(os.path.join(root, "_state", "tables.json"), "rb") as file:
        first, _, rest = file.read().partition(b"\n")
    need(int(first, 16) == check_of(rest), "the check of tables.json")
    tables = json.loads(rest)
    need(tables["format"] == 1, "the format of tables.json")
    wanted = f"{check_of(text):x}"
    return next(generation for generation in tables["generations"]
                if generation["schema"].lstrip("0") == wanted.lstrip("0"))


def read_root(path):
    """The JSON and the blobs."""
    with open(path, "rb") as file:
        data = file.read()
    magic, form, json_bytes, blob_bytes = struct.unpack_from("<8sIIQ", data)
    need(magic == b"PQROOT01" and form == 1 and json_bytes % 8 == 0, "a root's head")
    need(check_of(data[:-8]) == struct.unpack("<Q", data[-8:])[0], "a root's check")
    need(len(data) == 24 + json_bytes + blob_bytes + 8, "a root's length")
    blobs = data[24 + json_bytes:-8]
    return json.loads(data[24:24 + json_bytes]), lambda place: blobs[place[0]:place[0] + place[1]]


def read_run(path):
    """Rows of a run: (hash, key, payload or None, weight)."""
    with open(path, "rb") as file:
        data = file.read()
    tail = data[-72:]
    magic, rows, _, blocks, index, filters, index_check, filter_check, check = \
        struct.unpack("<8s8Q", tail)
    need(magic in (b"PQPQRUN1"[::-1], b"PQPQRUN2"[::-1], b"PQPQRUN1", b"PQPQRUN2"), "a run's magic")
    need(check_of(tail[:64]) == check, "a run's check")
    need(check_of(data[index:filters]) == index_check, "the check of its index")
    need(check_of(data[filters:-72]) == filter_check, "the check of its filter")
    adds = b"2" in magic
    found = []
    for number in range(blocks):
        _, offset, length, count = struct.unpack_from("<QQII", data, index + number * 24)
        block = data[offset:offset + length]
        own, _, in_block = struct.unpack_from("<QII", block)
        need(check_of(block[8:]) == own and in_block == count, "a block's check")
        found += read_block(Cursor(block, 16), count, adds)
    need(len(found) == rows, "a run's rows")
    return found


def read_block(cursor, count, adds):
    rows, digest, key = [], 0, b""
    for _ in range(count):
        if not adds:
            digest = cursor.number("Q")
            key_bytes, mark = cursor.varint(), cursor.varint()
            key = cursor.take(key_bytes)
            payload = cursor.take(mark >> 1)
            rows.append((digest, key, None if mark & 1 else payload, 0))
            continue
        shared = cursor.varint()
        if shared == 0:
            digest, key = cursor.number("Q"), b""
            key = cursor.take(cursor.varint())
        else:
            key = key[:shared - 1] + cursor.take(cursor.varint())
        weight = cursor.varint()
        rows.append((digest, key, None, (weight >> 1) ^ -(weight & 1)))
    return rows


def check_ids(path, ids):
    """A filter of ids: its checks hold, and its marks are those of `ids`, unless that is None. The
    number of rows it says."""
    with open(path, "rb") as file:
        data = file.read()
    magic, rows, lines, check, head = struct.unpack_from("<8s4Q", data)
    need(magic in (b"PQIDS001", b"PQIDS002") and head == check_of(data[:32]),
         "the head of a filter of ids")
    at = 40 + 64 * lines
    need(check == check_of(data[40:at]), "a filter of ids")
    for first in range(0, rows if magic == b"PQIDS002" else 0, 1024):
        count = min(1024, rows - first)
        block = data[at:at + 8 + 3 * count]
        need(len(block) == 8 + 3 * count, "a block of marks")
        need(struct.unpack_from("<Q", block)[0] == check_of(block[8:]), "a block of marks")
        for row in range(count if ids is not None else 0):
            hashed = check_of(ids[first + row].encode())
            mark = struct.unpack_from("<H", block, 8 + 2 * row)[0]
            need(mark | block[8 + 2 * count + row] << 16 == hashed & 0xffffff, "the mark of a row")
        at += len(block)
    need(len(data) == at, "a filter of ids ends with its last block")
    return rows
