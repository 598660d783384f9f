"""Options of the commands: numbers, names and paths that are none."""

import argparse

from case import Case
from command_lines import (
    ALL_OR_NOTHING,
    BEAM,
    COMPARE_PROBES,
    COPIES,
    DECODE,
    EXPORT,
    FEATURES,
    MANIFEST,
    MERGE,
    MP3S_CHECK,
    MP3S_REPORT,
    MP3S_RUN,
    PROBE,
    TOOL,
    TRANSCRIBE,
)
from damage import EXTREMES, odd_text

SYNTH = (*TOOL, "synth", "out", "--minutes", "0.02", "--languages", "cy")
BENCH = (*TOOL, "bench", "run", "--work", "mixer", "--seconds", "0.1", "--repeat", "1", "-o", "out.jsonl")
COMMANDS = (MANIFEST, COPIES, MERGE, DECODE, BEAM, TRANSCRIBE, FEATURES, COMPARE_PROBES, EXPORT, SYNTH, BENCH)
COMMANDS += (PROBE, MP3S_CHECK, MP3S_REPORT)
OF_NUMBERS = (
    (*COPIES, "--valid-percent", "40"),
    BEAM,
    (*TRANSCRIBE, *BEAM[-6:]),
    FEATURES,
    PROBE,
    MP3S_RUN,
    SYNTH,
    BENCH,
)
NUMBERS_AS_TEXT = ("layers", "seconds")  # with commas between
# Amounts of work: a huge one is what was asked for
AMOUNTS = ("minutes", "seconds", "repeat", "batch", "workers", "epochs")
PATHS = ("", ".", "nosuch/nosuch", "/dev/null", "/dev/full", "data", "x" * 300, "a\nb", "-", "@nosuch", "out/out")


def make(draw, folder):
    command = draw.choice(COMMANDS)
    # compiling takes what compilers take
    actions = [action for action in parser_of(command)._actions if action.dest not in ("help", "kind", "compiled")]
    action = draw.choice(actions)
    value = draw.choice([odd_text(draw), odd_text(draw), draw.choice(PATHS)])
    if action.dest in AMOUNTS and sum(map(str.isdigit, value)) + 9 * value.count("e") > 3:
        value = "-1"
    if action.option_strings:
        given = [action.option_strings[-1]] if action.nargs == 0 else [f"{action.option_strings[-1]}={value}"]
        argv = [*command, *given]
    else:
        places = [place for place, text in enumerate(command) if place > 1 and not text.startswith("-")]
        argv = list(command)
        argv[draw.choice(places)] = value
    return Case(argv, f"{action.dest}={value!r:.40}", command in ALL_OR_NOTHING)


def every(folder):
    """(command, option, value): each number of each command's options with each extreme; and weights of merge."""
    found = [(MERGE, None, str(value)) for value in EXTREMES[int]]
    for command in OF_NUMBERS:
        for action in parser_of(command)._actions:
            if action.type in EXTREMES or action.dest in NUMBERS_AS_TEXT:
                values = [value for value in EXTREMES[action.type or int] if value <= 0 or action.dest not in AMOUNTS]
                found += [(command, action.option_strings[-1], str(value)) for value in values]
    return found


def case_of(folder, command, option, value):
    """Give an option a value; without option, a corpus of merge a weight."""
    argv = [*command, f"{option}={value}"] if option else [*command[:3], f"data={value}", "spoken", command[-1]]
    return Case(argv, f"{option}={value}", command in ALL_OR_NOTHING)


def parser_of(command):
    """The parser of a command's options."""
    from fairseq_summarymixing.cli import build_parser

    parser = build_parser()
    for word in command[1:3]:
        inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        parser = inner[0].choices.get(word, parser) if inner else parser
    return parser
