"""Inputs with something wrong: made from good ones by seeded chance, kind by kind.

Every function takes a `random.Random` and changes nothing but what it is given, so a
mutant can be made again from the name of its kind and its number.
"""

import contextlib
import functools
import hashlib
import io
import json
import os
import random
import re
import sqlite3
import struct
import tarfile
import zlib

from PIL import Image

from vmixjax.data.codecs.png import SIGNATURE

_HUGE = 60 * 2**30
"""Bytes that a file says it holds; nobody should ask for as many."""

_HOLE = 3 * 2**29
"""Bytes that a file has, without taking any room: not to be read at once."""


def chance(kind, number):
    """What decides over mutant `number` of a kind."""
    return random.Random(f"{kind} {number}")


def strange_texts(lures):
    """Names and words; `lures` are paths of files that must not be touched."""
    return [
        *lures,
        "",
        ".",
        "..",
        "/",
        "../../../../etc/passwd",
        "/dev/zero",
        "\0",
        "a\0b",
        "\x1b[31mred\x1b[0m",
        "\x9b31m\x07",
        "line\nvmixjax: line",
        "\u202egnp",
        "\udcff",
        "UNFINISHED/x",
        "release.json",
        "x" * 10_000,
        "tfds:../mixed",
        "-1",
        "٣",
        "NaN",
    ]


_NUMBERS = [
    0,
    1,
    -1,
    2,
    255,
    256,
    2**31 - 1,
    2**31,
    2**32,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    20_000_000_000,
    10**30,
    0.5,
    1e308,
    -1e-300,
    float("nan"),
    float("inf"),
    float("-inf"),
]


# Bytes.


def _flip(data, dice, other):
    place = dice.randrange(len(data))
    data[place] ^= 1 << dice.randrange(8)


def _set(data, dice, other):
    start, size = _range(data, dice)
    data[start : start + size] = dice.choice((b"\0", b"\xff")) * size


def _delete(data, dice, other):
    start, size = _range(data, dice)
    del data[start : start + size]


def _insert(data, dice, other):
    start, size = _range(data, dice)
    data[start:start] = dice.randbytes(size)


def _duplicate(data, dice, other):
    start, size = _range(data, dice)
    data[start:start] = data[start : start + size]


def _swap(data, dice, other):
    start, size = _range(data, dice)
    to = dice.randrange(len(data))
    one, two = data[start : start + size], data[to : to + size]
    data[start : start + len(two)] = two
    data[to : to + len(one)] = one


def _truncate(data, dice, other):
    del data[dice.randrange(len(data)) :]


def _extend(data, dice, other):
    data += dice.choice((bytes, dice.randbytes))(dice.choice((1, 100, 8192)))


def _splice(data, dice, other):
    start, size = _range(data, dice)
    begin = dice.randrange(len(other) or 1)
    data[start : start + size] = other[begin : begin + size] or b"\0"


def _digits(data, dice, other):
    found = list(re.finditer(rb"\d+", bytes(data)))
    if not found:
        return _flip(data, dice, other)
    place = dice.choice(found)
    news = (b"0", b"-1", b"99999999999999999999", b"-2147483649", b"20000000000")
    data[place.start() : place.end()] = dice.choice(news)
    return None


def _field(data, dice, other):
    """A number in a header, most of them lie at the beginning."""
    size = dice.choice((1, 2, 4, 8))
    place = dice.randrange(min(len(data), dice.choice((64, 512, 2**20))))
    value = dice.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 1000))
    number = (value % 2 ** (8 * size)).to_bytes(size, dice.choice(("big", "little")))
    data[place : place + size] = number


def _range(data, dice):
    start = dice.randrange(len(data))
    return start, min(dice.choice((1, 1, 4, 16, 100, 1000)), len(data) - start)


_BYTES = (_flip, _set, _delete, _insert, _duplicate, _swap, _truncate, _extend)
_BYTES += (_splice, _digits, _field)


def mutate_bytes(data, dice, other=b""):
    """Some bytes are others; `other` is a file to take pieces from."""
    data = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        if not data:
            return dice.randbytes(10)
        dice.choice(_BYTES)(data, dice, other)
    return bytes(data)


# JSON.

_DEEP, _LONG = "deep-\x01", "long-\x01"


def mutate_json(data, dice, lures=(), words=()):
    """Nodes of other types, missing, renamed, swapped, doubled, too large, too deep."""
    if dice.random() < 0.2:
        return mutate_bytes(data, dice)
    tree = json.loads(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        tree = _mutate_tree(tree, dice, lures, words)
    text = json.dumps(tree, indent=dice.choice((None, 1)))
    # Python writes neither by itself.
    text = text.replace(json.dumps(_DEEP), "[" * 5000 + "]" * 5000)
    text = text.replace(json.dumps(_LONG), "9" * 5000)
    if dice.random() < 0.1:
        # The same key twice.
        text = re.sub(r'("[^"]+": )([^,{}\[\]]+)', r"\1\2, \1 0", text, count=1)
    encoding = dice.choice(("utf-8",) * 8 + ("utf-16", "utf-8-sig"))
    return text.encode(encoding, "surrogatepass")


def _nodes(tree):
    """(holder, key) of everything in a tree."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _nodes(tree[key])


def strange_value(dice, lures=(), words=()):
    """Any JSON."""
    return dice.choice(
        (
            lambda: dice.choice(_NUMBERS),
            lambda: dice.choice(_NUMBERS),
            lambda: dice.choice(strange_texts(lures)),
            lambda: dice.choice([*words, ""]),
            lambda: dice.choice((None, True, False)),
            lambda: dice.choice(([], {}, [[]], {"": {}}, [None] * 1000)),
            lambda: dice.choice((_DEEP, _LONG)),
        )
    )()


def _mutate_tree(tree, dice, lures, words):
    nodes = list(_nodes(tree))
    if not nodes or dice.random() < 0.03:
        return strange_value(dice, lures, words)
    holder, key = dice.choice(nodes)
    how = dice.choice(("set", "set", "near", "near", "drop", "add", "swap", "rename"))
    if how == "set":
        holder[key] = strange_value(dice, lures, words)
    elif how == "near":
        # Of the right type, and a little wrong: numbers, and letters of strings.
        plain = [(h, k) for h, k in nodes if isinstance(h[k], int | float | str)]
        if plain:
            holder, key = dice.choice(plain)
            holder[key] = _near(holder[key], dice)
    elif how == "drop":
        del holder[key]
    elif how == "add" and isinstance(holder, dict):
        name = dice.choice([*strange_texts(lures), *words])
        holder[name] = dice.choice((holder[key], strange_value(dice, lures, words)))
    elif how == "add":
        holder.insert(key, dice.choice((holder[key], strange_value(dice, lures))))
    elif how == "swap":
        there, other = dice.choice(nodes)
        if not _holds(holder[key], there) and not _holds(there[other], holder):
            holder[key], there[other] = there[other], holder[key]
    elif isinstance(holder, dict):
        holder[dice.choice(strange_texts(lures))] = holder.pop(key)
    return tree


def _holds(tree, part):
    """Whether a tree is, or holds, a part: swapping would tie it into a knot."""
    return tree is part or any(h[k] is part for h, k in _nodes(tree))


def _near(value, dice):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return dice.choice((value + 1, value - 1, -value, value * 1000, str(value)))
    if not value:
        return "x"
    place = dice.randrange(len(value))
    letter = dice.choice("0a/.")
    return value[:place] + letter + value[place + dice.randrange(2) :]


# Pictures.


def chunks(data):
    """Of a PNG file: [name, content]."""
    found, offset = [], len(SIGNATURE)
    while offset < len(data):
        (size,) = struct.unpack_from(">I", data, offset)
        name = data[offset + 4 : offset + 8]
        found.append([name, data[offset + 8 : offset + 8 + size]])
        offset += size + 12
    return found


def from_chunks(parts):
    """A PNG file whose checksums are right."""
    return SIGNATURE + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )


@functools.cache
def _bomb(size=2**28):
    """A small stream that becomes a large one."""
    zeros, packed = bytes(2**20), zlib.compressobj(9)
    return b"".join(packed.compress(zeros) for _ in range(size >> 20)) + packed.flush()


def _header(parts, dice):
    values = list(struct.unpack(">IIBBBBB", parts[0][1]))
    field = dice.randrange(len(values))
    sizes = (0, 1, 15, 17, 32, 20_000, 2**31 - 1, 2**32 - 1)
    values[field] = dice.choice(sizes if field < 2 else (0, 1, 2, 3, 4, 6, 8, 16, 255))
    if dice.random() < 0.2:
        values[:2] = dice.choice(((9000, 9000), (10_000, 10_000), (60_000, 60_000)))
    parts[0][1] = struct.pack(">IIBBBBB", *values)


def _stream(parts, dice):
    """Of pixels: more, fewer, others, or something hidden behind them."""
    place = next(i for i, (name, _) in enumerate(parts) if name == b"IDAT")
    packed = parts[place][1]
    rows = bytearray(zlib.decompress(packed))
    # A row is a byte that says how it is predicted, and its pixels.
    row = len(rows) // struct.unpack_from(">I", parts[0][1], 4)[0]
    how = dice.randrange(7)
    if how == 0:
        packed += dice.randbytes(dice.choice((1, 8192)))
    elif how == 1:
        packed = zlib.compress(
            bytes(rows) + dice.randbytes(dice.choice((1, row, 8192)))
        )
    elif how == 2:
        packed = zlib.compress(bytes(rows[: dice.randrange(len(rows))]))
    elif how == 3:
        # One pixel is another; the file is whole.
        rows[dice.randrange(len(rows) // row) * row + dice.randrange(1, row)] ^= 1
        packed = zlib.compress(bytes(rows))
    elif how == 4:
        packed = _bomb()
    elif how == 5:
        rows[dice.randrange(len(rows) // row) * row] = dice.choice((0, 1, 3, 4, 5, 255))
        packed = zlib.compress(bytes(rows))
    else:
        cut = dice.randrange(len(packed))
        parts.insert(place, [b"IDAT", packed[:cut]])
        place, packed = place + 1, packed[cut:]
    parts[place][1] = packed


def _chunk(parts, dice):
    extra = [
        [b"tEXt", b"Author\0Anna"],
        [b"zTXt", b"Comment\0\0" + _bomb()],
        [b"iCCP", b"icc\0\0" + _bomb(2**24)],
        [b"eXIf", b"MM\0*" + dice.randbytes(40)],
        [b"PLTE", dice.randbytes(dice.choice((3, 4, 768, 9999)))],
        [b"tRNS", dice.randbytes(6)],
        [b"acTL", struct.pack(">II", 2**31, 0)],
        [b"IDAT", dice.randbytes(20)],
        [b"IEND", b""],
        [b"\x1b[3m", b""],
        [b"vpAg", dice.randbytes(8192)],
    ]
    parts.insert(dice.randrange(len(parts) + 1), dice.choice(extra))


def mutate_png(data, dice):
    """Header, pixels, chunks; the checksums are right, mostly."""
    how = dice.random()
    if how < 0.2:
        return mutate_bytes(data, dice)
    if how < 0.3:
        return other_format(data, dice.choice(("JPEG", "TIFF", "WEBP", "GIF", "BMP")))
    parts = chunks(data)
    if how < 0.5:
        _header(parts, dice)
    elif how < 0.75:
        _stream(parts, dice)
    elif how < 0.85:
        _chunk(parts, dice)
    elif how < 0.9:
        del parts[dice.randrange(len(parts))]
    elif how < 0.95:
        dice.shuffle(parts)
    else:
        part = dice.choice(parts)
        part[0] = dice.choice((b"IDAT", b"IHDR", b"abcd", b"\0\0\0\0", b"\x1b[1m"))
    made = from_chunks(parts)
    if dice.random() < 0.1:
        made += dice.randbytes(dice.choice((1, 100, 8192)))
    if dice.random() < 0.1:
        # One length lies.
        place = len(SIGNATURE) if dice.random() < 0.5 else made.find(b"IDAT") - 4
        size = dice.choice((0, 1, 2**31 - 1, 2**32 - 1))
        made = made[:place] + struct.pack(">I", size) + made[place + 4 :]
    return made


def other_format(data, kind):
    """The same picture as a file of another format."""
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(file, kind)
    return file.getvalue()


# Tar files.


def members(data):
    """Of a tar file: [header, content], of as many blocks as their size says."""
    found, offset = [], 0
    while offset + 512 <= len(data) and data[offset] != 0:
        header = bytearray(data[offset : offset + 512])
        size = int(bytes(header[124:136]).strip(b"\0 ") or b"0", 8)
        found.append([header, data[offset + 512 : offset + 512 + size]])
        offset += 512 + -(-size // 512) * 512
    return found


def from_members(parts, end=2):
    """A tar file whose checksums are right."""
    made = b""
    for header, content in parts:
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        made += header + content + bytes(-len(content) % 512)
    return made + bytes(512 * end)


_TAR_FIELDS = ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1))
_TAR_FIELDS += ((157, 100), (257, 6), (263, 2), (265, 32), (297, 32), (345, 155))
_TAR_TYPES = b"0\x00123456789gxLKSVNDM\xff"
_TAR_NAMES = (
    ".png",
    "a/.png",
    "..png",
    "png",
    "x.PNG",
    "a.b.png",
    "/x.png",
    "../y.png",
)


def _tar_header(parts, dice, lures):
    header = dice.choice(parts)[0]
    how = dice.randrange(4)
    if how == 0:
        start, size = dice.choice(_TAR_FIELDS)
        header[start : start + size] = dice.randbytes(size)
    elif how == 1:
        header[156] = dice.choice(_TAR_TYPES)
    elif how == 2:
        sizes = (
            b"77777777777",
            b"00000000000",
            b"-0000000001",
            b"\x80\0\0\0\0\0\1\0\0\0\0\0",
        )
        sizes += (b"\xff" * 12, b"00000000001", b"0000zz", b"00000001000")
        header[124:136] = dice.choice(sizes).ljust(12, b"\0")
    else:
        _name(header, dice.choice((*_TAR_NAMES, *strange_texts(lures))))


def _name(header, name):
    header[:100] = name.encode("utf-8", "surrogateescape")[:100].ljust(100, b"\0")


def _tar_content(parts, dice, lures):
    part = dice.choice(parts)
    if bytes(part[1]).startswith(SIGNATURE):
        content = mutate_png(bytes(part[1]), dice)
    else:
        words = (b"1", b"0", b"-1", b"9" * 5000, b"\x1b[31m", b"../x", b"", b"\xff\xfe")
        content = dice.choice((*words, b" 1\n", b"1_0", "٣".encode()))
    part[1] = content
    part[0][124:136] = b"%011o\0" % len(content)


def _tar_order(parts, dice, lures):
    one, two = (dice.randrange(len(parts)) for _ in range(2))
    how = dice.randrange(5)
    if how == 0:
        del parts[one]
    elif how == 1:
        parts.insert(two, [bytearray(parts[one][0]), parts[one][1]])
    elif how == 2:
        parts[one], parts[two] = parts[two], parts[one]
    elif how == 3:
        # Contents change places, with their sizes.
        (a, x), (b, y) = parts[one], parts[two]
        a[124:136], b[124:136] = bytes(b[124:136]), bytes(a[124:136])
        parts[one][1], parts[two][1] = y, x
    else:
        del parts[max(1, dice.randrange(len(parts))) :]


def _tar_extra(parts, dice, lures):
    """Members that say something of others, or that are no files."""
    text = dice.choice(strange_texts(lures))
    key, value = dice.choice(
        (
            ("path", text),
            ("linkpath", text),
            ("size", str(dice.choice((_HUGE, 0, -1, 2**63)))),
            ("size", text),
            ("mtime", "nan"),
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.size", str(_HUGE)),
            ("GNU.sparse.map", f"0,{_HUGE}"),
            ("GNU.sparse.realsize", str(_HUGE)),
            ("hdrcharset", "BINARY"),
            ("comment", "Anna"),
        )
    )
    line = f"{key}={value}\n".encode("utf-8", "surrogateescape")
    record = b"%d %s" % (len(line) + len(str(len(line))) + 1, line)
    kind, content = dice.choice(
        (
            (b"x", record),
            (b"g", record),
            (b"x", b"99999999999 path=x\n"),
            (b"L", value.encode("utf-8", "surrogateescape") + b"\0"),
            (b"1", b""),
            (b"2", b""),
            (b"3", b""),
            (b"5", b""),
            (b"6", b""),
            (b"0", b"Anna"),
            (b"S", b"\0" * 512),
        )
    )
    header = bytearray(tarfile.TarInfo("x.png").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = kind
    if kind in b"12":
        header[157:257] = text.encode("utf-8", "replace")[:100].ljust(100, b"\0")
    if kind == b"S":
        # One piece at the front, the rest a hole of gigabytes.
        header[386:410] = b"%011o\0%011o\0" % (0, 512)
        header[483:495] = b"\x80" + _HUGE.to_bytes(11, "big")
    header[124:136] = b"%011o\0" % len(content)
    parts.insert(dice.randrange(len(parts) + 1), [header, content])


def mutate_tar(data, dice, lures=()):
    """Headers with right checksums, contents, order, links, sparse files, pax."""
    if dice.random() < 0.15:
        return mutate_bytes(data, dice)
    parts = members(data)
    for _ in range(dice.choice((1, 1, 1, 3))):
        how = dice.choice((_tar_header, _tar_content, _tar_order, _tar_extra))
        how(parts, dice, lures)
        if not parts:
            break
    made = from_members(parts, end=dice.choice((2,) * 8 + (0, 1)))
    return made + (made if dice.random() < 0.03 else b"")


# Vaults.


def mutate_vault(path, dice, lures=()):
    """Bytes of the file, or rows, tables, views and triggers by SQL."""
    if dice.random() < 0.25:
        path.write_bytes(mutate_bytes(path.read_bytes(), dice))
        return
    while True:
        with contextlib.closing(
            sqlite3.connect(path, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN")
            try:
                dice.choice(_SQL)(connection, dice, lures)
                connection.commit()
                return
            except (sqlite3.Error, OverflowError, UnicodeEncodeError):
                connection.rollback()


def _tables(connection):
    """Name and columns of each table."""
    names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    return {
        name: [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
        for (name,) in connection.execute(names)
        if not name.startswith("sqlite_")
    }


def _rows(connection, dice, lures):
    """Values of rows are others, missing, swapped or doubled."""
    table, columns = dice.choice(sorted(_tables(connection).items()))
    rows = [list(row) for row in connection.execute(f'SELECT * FROM "{table}"')]
    for _ in range(dice.choice((1, 1, 2))):
        row, column = dice.choice(rows), dice.randrange(len(columns))
        how = dice.choice(
            ("set", "set", "set", "swap", "swap", "drop", "double", "move")
        )
        if how == "set":
            row[column] = _value(row[column], dice, lures)
        elif how == "swap":
            other = dice.choice(rows)
            row[column], other[column] = other[column], row[column]
        elif how == "drop" and len(rows) > 1:
            rows.remove(row)
        elif how == "double":
            rows.append(list(row))
            rows[-1][column] = _value(row[column], dice, lures)
        else:
            to = dice.randrange(len(columns))
            row[column], row[to] = row[to], row[column]
    if dice.random() < 0.5:
        # Without types and constraints, anything can be anywhere.
        names = ", ".join(f'"{name}"' for name in columns)
        connection.execute(f'DROP TABLE "{table}"')
        connection.execute(f'CREATE TABLE "{table}" ({names})')
    else:
        connection.execute(f'DELETE FROM "{table}"')
    places = ", ".join("?" * len(columns))
    connection.executemany(f'INSERT OR REPLACE INTO "{table}" VALUES ({places})', rows)


def _value(value, dice, lures):
    if isinstance(value, int) and dice.random() < 0.7:
        return dice.choice((0, 1, -1, 3, value * 2, 2**25, 2**31, 2**40, 2**62, 0.5))
    if isinstance(value, bytes) and value and dice.random() < 0.6:
        return dice.choice(
            (
                mutate_bytes(value, dice),
                bytes(len(value)),
                value[:-1],
                value[:11],
                value + b"\0",
                value.decode("latin-1"),
                b"",
            )
        )
    values = (None, 0, -1, 2**62, 1.5, b"", b"\xff" * 40, bytes(2**25), "2" * 10_000)
    return dice.choice((*values, *strange_texts(lures)))


def _views(connection, dice, lures):
    """A table that is none: harmless, endless, or huge."""
    table, columns = dice.choice(sorted(_tables(connection).items()))
    plain = ", ".join(f'"{name}"' for name in columns)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT "
    connection.execute(f'ALTER TABLE "{table}" RENAME TO hidden')
    bodies = [
        f"SELECT {plain} FROM hidden",
        endless + ", ".join(f'i AS "{name}"' for name in columns) + " FROM n",
        f"{endless} {plain} FROM hidden, n",
        f"SELECT {plain} FROM hidden WHERE ({endless} count(*) FROM n) > 0",
        "SELECT " + ", ".join(f'zeroblob(900000000) AS "{c}"' for c in columns),
        "SELECT " + ", ".join(f'NULL AS "{name}"' for name in columns),
        f'SELECT * FROM "{table}"',
    ]
    connection.execute(f'CREATE VIEW "{table}" AS {dice.choice(bodies)}')


def _triggers(connection, dice, lures):
    table = dice.choice(sorted(_tables(connection)))
    when = dice.choice(("AFTER INSERT", "BEFORE INSERT", "AFTER DELETE"))
    action = dice.choice((f'DELETE FROM "{table}"', "SELECT RAISE(ABORT, '\x1b[31m')"))
    connection.execute(f'CREATE TRIGGER t {when} ON "{table}" BEGIN {action}; END')


def _schema(connection, dice, lures):
    table, columns = dice.choice(sorted(_tables(connection).items()))
    column = dice.choice(columns)
    connection.commit()
    connection.execute(
        dice.choice(
            (
                f'DROP TABLE "{table}"',
                f'ALTER TABLE "{table}" RENAME TO "other"',
                f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "other"',
                f'ALTER TABLE "{table}" ADD COLUMN "other" DEFAULT 1',
                f'ALTER TABLE "{table}" DROP COLUMN "{column}"',
                'CREATE TABLE "\x1b[31m" (a)',
                "PRAGMA user_version = 99",
                "PRAGMA journal_mode = WAL",
                f'DELETE FROM "{table}"',
            )
        )
    )


def _definition(connection, dice, lures):
    """What SQLite itself says of its tables is not what they are."""
    connection.execute("PRAGMA writable_schema = ON")
    column, value = dice.choice(
        (
            ("sql", "CREATE TABLE x (a)"),
            ("sql", "\x1b[31m"),
            ("rootpage", dice.choice((0, 1, 2, 3, 99))),
            ("type", "view"),
            ("name", "x"),
        )
    )
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    where = dice.choice(sorted(names))
    connection.execute(
        f"UPDATE sqlite_master SET {column} = ? WHERE name = ?", (value, where)
    )


_SQL = (_rows, _rows, _rows, _rows, _views, _triggers, _schema, _definition)


# TFDS.


def tfds_words(lures):
    """What descriptions of TFDS data sets may hold, and what must not be imported."""
    features = "tensorflow_datasets.core.features"
    return [
        "mixed.evil.X",
        "evil.X",
        "os.system",
        "builtins.exec",
        "subprocess.Popen",
        f"{features}.image_feature.Image",
        f"{features}.tensor_feature.Tensor",
        f"{features}.scalar.Scalar",
        f"{features}.text_feature.Text",
        f"{features}.class_label_feature.ClassLabel",
        f"{features}.features_dict.FeaturesDict",
        f"{features}.sequence_feature.Sequence",
        f"{features}.video_feature.Video",
        f"{features}.dataset_feature.Dataset",
        "float32",
        "uint16",
        "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        "../{SPLIT}",
        "tfrecord",
        "20000000000",
        "-1",
        *lures,
    ]


EVIL = "import pathlib\npathlib.Path({!r}).write_text('run')\nclass X:\n    pass\n"
"""A module that leaves a trace where it is imported."""


def records(path):
    """Of an ArrayRecord file."""
    from array_record.python import array_record_module

    reader = array_record_module.ArrayRecordReader(str(path))
    try:
        return reader.read_all()
    except RuntimeError:
        # It was changed before.
        return []
    finally:
        with contextlib.suppress(RuntimeError):
            reader.close()


def _write_records(path, found):
    from array_record.python import array_record_module

    path.unlink()
    writer = array_record_module.ArrayRecordWriter(
        str(path), "group_size:1,uncompressed"
    )
    for record in found:
        writer.write(record)
    writer.close()


def mutate_records(path, dice, lures=()):
    """Records are missing, doubled, in another order, or hold other features."""
    from tensorflow_datasets.proto import tf_example_pb2

    found = list(records(path))
    if not found:
        return
    how = dice.choice(("drop", "double", "swap", "bytes", *("feature",) * 6))
    place = dice.randrange(len(found))
    if how == "drop":
        del found[place]
    elif how == "double":
        found.insert(place, dice.choice(found))
    elif how == "swap":
        found.reverse()
    elif how == "bytes":
        found[place] = mutate_bytes(found[place], dice)
    else:
        example = tf_example_pb2.Example.FromString(found[place])
        _feature(example.features.feature, dice, lures)
        found[place] = example.SerializeToString()
    _write_records(path, found)


def _feature(features, dice, lures):
    name = dice.choice(sorted(features))
    feature = features[name]
    kind = feature.WhichOneof("kind")
    how = dice.randrange(6)
    if how == 0:
        del features[name]
    elif how == 1:
        names = [text for text in strange_texts(lures) if text.isprintable() and text]
        features[dice.choice(names)].CopyFrom(feature)
    elif how == 2:
        # Undeclared, and large.
        features["hidden"].bytes_list.value.append(dice.randbytes(8192))
    elif how == 3:
        feature.Clear()
        dice.choice((feature.int64_list, feature.float_list)).value.append(1)
    elif kind == "int64_list":
        feature.int64_list.value[0] = dice.choice((0, 1, -1, 2, 2**31, 2**63 - 1))
    elif kind == "float_list":
        feature.float_list.value.append(dice.choice((1.0, float("nan"))))
    elif name == "image":
        feature.bytes_list.value[0] = mutate_png(feature.bytes_list.value[0], dice)
    else:
        words = (b"\x1b[31m", b"", b"\xff\xfe", b"../x", b"x" * 10_000, b"pet 1")
        feature.bytes_list.value[0] = dice.choice(words)


# Files and folders.


def mutate_place(path, dice, lures=()):
    """What is at a path is no file any more, or quite another one."""
    content = path.read_bytes()
    path.unlink()
    how = dice.randrange(8)
    if how == 0:
        path.mkdir()
    elif how == 1:
        path.symlink_to(dice.choice((*lures, "/dev/zero", "/dev/urandom", "nowhere")))
    elif how == 2:
        os.mkfifo(path)
    elif how == 3:
        # Nothing of it is on the disk.
        with path.open("wb") as file:
            file.write(content)
            file.truncate(_HOLE)
    elif how == 4:
        path.write_bytes(b"")
    elif how == 5:
        path.symlink_to(path.name)
    elif how == 6:
        moved = path.with_name(f"{path.name}.bak")
        moved.write_bytes(content)
        path.symlink_to(moved.name)


def mutate_names(folder, dice, lures=()):
    """Files of a folder are renamed, moved, swapped, copied; others come to them."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    one, two = dice.choice(paths), dice.choice(paths)
    how = dice.choice(("rename", "rename", "swap", "move", "copy", "add"))
    texts = [t for t in strange_texts(()) if t.strip("./") and "\0" not in t]
    name = dice.choice([t for t in texts if len(t) < 99 and "/" not in t])
    name += dice.choice(("", one.suffix))
    to = folder / os.fsdecode(name.encode("utf-8", "surrogateescape"))
    if how == "rename":
        one.rename(to)
    elif how == "swap":
        a, b = one.read_bytes(), two.read_bytes()
        one.write_bytes(b)
        two.write_bytes(a)
    elif how == "move":
        folders = [p for p in folder.iterdir() if p.is_dir() and p != one.parent]
        one.replace(dice.choice(folders) / one.name if folders else to)
    elif how == "copy":
        to.write_bytes(one.read_bytes())
    else:
        to.write_bytes(dice.choice((b"", b"Anna", dice.randbytes(8192))))


def mend_sums(folder):
    """Makes the manifest's checksums those of the files, wherever it has them."""
    path = folder / "release.json"
    if not path.is_file() or path.is_symlink():
        return
    manifest = json.loads(path.read_bytes())
    for holder, key in list(_nodes(manifest)):
        value = holder[key] if isinstance(holder, dict) else None
        if not (isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)):
            continue
        if not (folder / key).exists():
            del holder[key]
        elif (folder / key).is_file() and (folder / key).stat().st_size < 2**26:
            holder[key] = hashlib.sha256((folder / key).read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest, indent=1))


def mutate_release(folder, dice, lures=(), *, trace=None):
    """One or two files of a release, and perhaps the sums that its manifest has."""
    for _ in range(dice.choice((1, 1, 1, 2))):
        paths = sorted(
            p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()
        )
        paths = [p for p in paths if p.name != "release.json" and p.stat().st_size]
        if not paths:
            break
        # Descriptions are more telling than what they describe.
        paths += 2 * [p for p in paths if p.suffix == ".json"]
        path, how = dice.choice(paths), dice.random()
        if how < 0.1:
            mutate_place(path, dice, lures)
        elif how < 0.25:
            mutate_names(folder, dice, lures)
        else:
            mutate_file(path, dice, lures)
    if trace is not None:
        (folder / "evil.py").write_text(EVIL.format(str(trace)))
    if dice.random() < 0.6:
        with contextlib.suppress(ValueError):
            mend_sums(folder)


def _description(data, dice):
    """Of a TFDS data set: a class that is none of TFDS's, shards beyond all bounds."""
    class_names = list(re.finditer(rb'(?<="pythonClassName": ")[^"]+', data))
    lengths = list(re.finditer(rb'(?<=")\d+(?=")', data))
    if not class_names + lengths:
        return mutate_bytes(data, dice)
    place = dice.choice(class_names or lengths)
    modules = (b"mixed.evil.X", b"evil.X", b"builtins.exec", b"a.\\u001b[31m")
    news = modules if class_names else (b"20000000000", b"-1", b"0", b"3")
    return data[: place.start()] + dice.choice(news) + data[place.end() :]


def mutate_file(path, dice, lures=()):
    """A file, as what it is."""
    data = path.read_bytes()
    try:
        if path.suffix == ".json" and dice.random() < 0.3:
            data = _description(data, dice)
        elif path.suffix == ".json":
            data = mutate_json(data, dice, lures, tfds_words(lures))
        elif data.startswith(SIGNATURE):
            data = mutate_png(data, dice)
        elif path.suffix == ".tar":
            data = mutate_tar(data, dice, lures)
        elif "array_record" in path.name and dice.random() < 0.7:
            return mutate_records(path, dice, lures)
        elif path.suffix == ".txt":
            lines = [*data.split(b"\n"), *map(os.fsencode, strange_texts(lures)[:-4])]
            data = b"\n".join(dice.sample(lines, dice.randrange(4)))
        else:
            data = mutate_bytes(data, dice)
    except (ValueError, zlib.error, struct.error, IndexError, KeyError):
        # It was changed before, and is not what it was.
        data = mutate_bytes(data or b"x", dice)
    path.write_bytes(data)
    return None


def mutate_names_in(path, dice, lures):
    """Notes that name files which are not the release's."""
    try:
        nodes = list(_nodes(json.loads(path.read_bytes())))
    except ValueError:
        return mutate_file(path, dice, lures)
    names = {key for holder, key in nodes if isinstance(holder, dict) and "." in key}
    if not names:
        return mutate_file(path, dice, lures)
    name, lure = dice.choice(sorted(names)), dice.choice(lures)
    path.write_text(path.read_text().replace(json.dumps(name), json.dumps(lure)))
    return None
