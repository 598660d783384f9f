"""What tests of `decode` share."""

import pytest

from fairseq_summarymixing.downstream.decode import Batching, decode
from fairseq_summarymixing.errors import UserError


def lines(path):
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def refuse(checkpoint, data, *parts, split="test"):
    """Decode, which must end in one line that holds the parts."""
    with pytest.raises(UserError) as caught:
        decode(checkpoint, data, split, batching=Batching(device="cpu"))
    assert "\n" not in str(caught.value)
    for part in parts:
        assert str(part) in str(caught.value)
