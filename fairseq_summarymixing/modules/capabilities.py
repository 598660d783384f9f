"""Declare what a module promises beyond its call, in its class; a subclass must declare it again.

``computes_in_chunks = True`` in a class promises that a long recording, cut into chunks, gives what one pass gives
when the parts are called as :mod:`.long_form` calls them:

- a mixer: ``mix(x, mean)`` of any frames x (B, n, D), where ``mean`` (B, 1, D') is the mean of ``summary`` over all
  frames of the utterance and ``summary(x)`` needs no other frames than x. A class with a ``forward`` of its own has a
  ``mix`` of its own;
- a layer: ``before_mixer``, ``mixer_input`` and ``after_mixer``, of any frames and ``context`` frames on either side;
- positions: ``forward(x, first)``, likewise;
- a front end: its parts, one after the other, as :mod:`.long_form_frontend` runs them for its class;
- a part of these: its output at a frame depends only on frames within its owner's ``context``. Parts of PyTorch's,
  peft's and our classes need not declare that;
- a model whose class replaces methods of :class:`~.speech_encoder.SpeechEncoder` that are not called for chunks: they
  compute the same.
"""

import itertools
from typing import Iterable, Optional

from torch import nn

# Packages whose layers need not declare it: what the parts of our layers are made of, or are adapted with
KNOWN_PACKAGES = ("torch", "peft", __name__.partition(".")[0])


def computes_in_chunks(module: nn.Module) -> bool:
    """Return whether the module's own class declares ``computes_in_chunks``, and its call runs only the class's code.

    A subclass may change the mathematics, so the declaration is not inherited. Computing in chunks does not call the
    module, so it would ignore a replaced ``forward`` and hooks.
    """
    is_plain = "forward" not in vars(module) and not module._forward_hooks and not module._forward_pre_hooks
    return is_plain and vars(type(module)).get("computes_in_chunks", False)


def find_obstacle(needed: Iterable[nn.Module], parts: Iterable[nn.Module]) -> Optional[str]:
    """Return the class name of the first part that keeps a model from being computed in chunks; None where all can.

    Args:
        needed: the parts that must declare it.
        parts: all parts that run. One of another package must declare it, and one that inherits the declaration must
            declare it again.
    """
    must_declare = (part for part in parts if hasattr(type(part), "computes_in_chunks") or not _is_known(part))
    for part in itertools.chain(needed, must_declare):
        if not computes_in_chunks(part):
            return type(part).__name__
    return None


def _is_known(part: nn.Module) -> bool:
    return type(part).__module__.partition(".")[0] in KNOWN_PACKAGES
