"""What does each mistake say? messages.txt holds a table of commands and their errors, word by word.

``python tests/test_messages.py > tests/messages.txt`` writes it anew, to be read line by line.
"""

import re
from pathlib import Path

import pytest

pytest.importorskip("fairseq")
pytest.importorskip("flashlight.lib.text", reason="the lm extra is not installed")

from message_commands import Commands
from message_files import write_files

TABLE = Path(__file__).with_name("messages.txt")


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    write_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield Commands(folder)


def entries(text):
    """(command, message) of the table."""
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ |#|\n).*\n)*)", text + "\n", re.MULTILINE)
    return [(command, message.rstrip("\n")) for command, message in found]


@pytest.mark.parametrize("command, message", entries(TABLE.read_text(encoding="utf-8")))
def test_message(command, message, commands):
    assert commands.error(command) == message


def written_anew(folder):
    """The table with the messages as they are."""
    commands, lines = Commands(folder), []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("$ "):
            lines += [line, commands.error(line[2:])]
        elif not line or line.startswith("#"):
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        os.chdir(folder)
        text = written_anew(Path(folder))
    print(text)
