"""Logs of runs, and results of decodes."""

import json

from case import Case
from command_lines import COMPARE
from damage import damage_file, damage_inside, damaged_bytes, damaged_json, damaged_lines


def make(draw, folder):
    log, result = folder / "run/train.log", folder / "run/decode/test/result.json"
    path, ways = draw.choice(
        [(log, (damaged_lines, damaged_bytes)), (log, (odd_records,)), (result, (damaged_json, damaged_lines))]
    )
    return Case(list(COMPARE), damage_file(draw, path, *ways), whole=True)


def odd_records(draw, data):
    """Change some values of a log's records."""
    lines = data.decode().split("\n")
    places = [number for number, line in enumerate(lines) if "{" in line and "'" not in line]
    for place in draw.sample(places, draw.choice([1, 2, len(places)])):
        head, _, record = lines[place].partition(" - ")
        record = json.loads(record)
        damage_inside(draw, record)
        lines[place] = f"{head} - {json.dumps(record)}"
    return "\n".join(lines).encode()
