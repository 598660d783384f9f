"""Damage valid inputs, each time in another way: files, bytes, lines of text, values at any depth."""

import json
import math
import os
import shutil

NUMBERS = (-1, 0, 1, 0.5, -1e-9, math.nan, math.inf, -math.inf, 1e308, 5e-324, 2**31, 2**63, 10**30)
OTHERS = (None, True, "", "abc", "-", "\u0663", "\u00fcn\u2028\u00ef", [], {}, [1, 2], {"a": 1})
EXTREMES = {int: (-1, 0, math.nan, 2**62), float: (-1, 0, math.nan, 1e308)}  # each is tried of every number
BYTES = (b"", b"\0", b"\n", b"\t", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[31m", "\u2028".encode(), b"A" * 5000, b"%s%n")
FIELDS = (
    b"-1",
    b"0",
    b"nan",
    b"inf",
    b"1e400",
    b"9" * 30,
    b"",
    b"abc",
    b"../../etc",
    b"/dev/zero",
    b"\xd9\xa3",
    b"1_0",
)


def odd_value(draw):
    """A number at the edge of a range, or a value of another type."""
    return draw.choice(NUMBERS + NUMBERS + OTHERS)


def odd_text(draw):
    """As :func:`odd_value`, as text on a command line."""
    value = odd_value(draw)
    return value if isinstance(value, str) else draw.choice([str(value), json.dumps(value)])


def damage_file(draw, path, *ways):
    """Damage a file by one of ``ways`` or by another thing in its place; returns what was done."""
    if not draw.randrange(8):
        return replace(draw, path)
    way = draw.choice(ways)
    path.write_bytes(way(draw, path.read_bytes()))
    return f"{path.name}: {way.__name__}"


def replace(draw, path):
    """Put something else where a file was."""
    how = draw.choice(["missing", "folder", "link to itself", "link to nothing", "pipe", "device", "other file"])
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "other file":
        others = [other for other in sorted(path.parent.rglob("*")) if other.is_file()]
        if others:
            shutil.copyfile(draw.choice(others), path)
    elif how != "missing":
        path.symlink_to({"link to itself": path.name, "link to nothing": "nothing", "device": "/dev/null"}[how])
    return f"{path.name}: {how}"


def damaged_bytes(draw, data):
    """Cut, flip, fill, insert or repeat bytes at a random place."""
    at = draw.randrange(len(data) + 1)
    size = draw.choice([1, 4, 100, 5000])
    how = draw.choice(["cut", "head", "empty", "flip", "zero", "random", "insert", "repeat", "append"])
    if how == "flip" and data:
        at %= len(data)
        return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]
    return {
        "cut": data[:at],
        "head": data[:size],
        "empty": b"",
        "zero": data[:at] + bytes(len(data[at : at + size])) + data[at + size :],
        "random": data[:at] + draw.randbytes(len(data[at : at + size])) + data[at + size :],
        "insert": data[:at] + draw.choice(BYTES) + data[at:],
        "repeat": data[:at] + data[at : at + size] * 2 + data[at + size :],
    }.get(how, data + draw.randbytes(size))


def damaged_lines(draw, data):
    """Change lines or fields of text, or its encoding."""
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))
    how = draw.choice(["drop", "double", "blank", "swap", "field", "field", "field", "insert", "encode", "join", "one"])
    if how == "field":
        fields = lines[at].replace(b"\t", b" \t ").split(b" ")
        fields[draw.randrange(len(fields))] = draw.choice(FIELDS + BYTES)
        lines[at] = b" ".join(fields).replace(b" \t ", b"\t")
    elif how == "insert":
        place = draw.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:place] + draw.choice(BYTES) + lines[at][place:]
    elif how == "encode":
        codec = draw.choice(["utf-16", "utf-8-sig", "utf-32", "utf-7"])
        return data.decode("utf-8", "replace").encode(codec)
    elif how == "swap":
        other = draw.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    else:
        ways = {"drop": [], "double": [lines[at]] * 2, "blank": [b"", b" \t "]}
        lines[at : at + 1] = ways.get(how, [lines[at]])
    return (b"\r" if how == "join" else b"\n").join(lines[: at + 1] if how == "one" else lines)


def damaged_json(draw, data):
    """Change one value at any depth."""
    content = json.loads(data)
    damage_inside(draw, content)
    return json.dumps(content).encode()


def damage_inside(draw, content, value=odd_value):
    """Replace, remove or add one value at any depth of dicts and lists, in place; returns where."""
    where = []
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return f"{where}: nothing to change"
        key = draw.choice(keys)
        where.append(key)
        if isinstance(content[key], (dict, list)) and content[key] and draw.randrange(4):
            content = content[key]
            continue
        if isinstance(content, dict) and not draw.randrange(4):
            del content[key]
            return f"{where}: gone"
        content[key] = value(draw)
        return f"{where}={content[key]!r:.60}"
