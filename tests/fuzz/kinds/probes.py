"""Results and labels of probes, and MP3S's corpora and results."""

from case import Case
from command_lines import ALL_OR_NOTHING, COMPARE_PROBES, MP3S_CHECK, MP3S_REPORT, PROBE
from damage import damage_file, damaged_bytes, damaged_json, damaged_lines

FILES = {
    COMPARE_PROBES: ("probes/result.json",),
    MP3S_REPORT: ("mp3s/runs/*/*/*/result.json",),
    MP3S_CHECK: ("corpora.yaml", "corpora/**/*.t*", "corpora/**/*.jsonl"),
    PROBE: ("spoken/*.cls", "spoken/*.tsv"),
}


def make(draw, folder):
    command = draw.choice(list(FILES))
    path = draw.choice(sorted(folder.glob(draw.choice(FILES[command]))))
    ways = [damaged_json, damaged_json, damaged_lines, damaged_bytes]
    damage = damage_file(draw, path, *(ways if path.suffix == ".json" else ways[2:]))
    return Case(list(command), damage, command in ALL_OR_NOTHING)
