"""Run folders to compare."""

import pytest


@pytest.fixture
def write(tmp_path):
    def make(name, *parts, log="train.log"):
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / log).write_text("".join(parts))
        return folder

    return make
