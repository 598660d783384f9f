"""Declare what a module promises beyond its call, in its class; a subclass must declare it again.

``computes_in_chunks = True`` in a class promises that a long recording, cut into chunks, gives what one pass gives
when the parts are called as :mod:`.long_form` calls them:

- a mixer: ``mix(x, mean)`` of any frames x (B, n, D), where ``mean`` (B, 1, D') is the mean of ``summary`` over all
  frames of the utterance and ``summary(x)`` needs no other frames than x;
- a layer: ``before_mixer``, ``mixer_input`` and ``after_mixer``, of any frames and ``context`` frames on either side;
- positions: ``forward(x, first)``, likewise;
- a front end: its parts, one after the other, as :mod:`.long_form` runs them for its class;
- a part of these: its output at a frame depends on no others than those within its owner's ``context``.
"""

import itertools
from typing import Iterable, Optional

from torch import nn


def computes_in_chunks(module: nn.Module) -> bool:
    """Return whether the module's own class declares ``computes_in_chunks``, and its call runs the class's code alone.

    A subclass may change the mathematics, so the declaration is not inherited. A ``forward`` that was replaced and
    hooks would be passed over, since chunks do not go through the module's call.
    """
    is_plain = "forward" not in vars(module) and not module._forward_hooks and not module._forward_pre_hooks
    return is_plain and vars(type(module)).get("computes_in_chunks", False)


def find_obstacle(model: nn.Module, needed: Iterable[nn.Module]) -> Optional[str]:
    """Return the class name of the first part that keeps a model from being computed in chunks; None where all can.

    Args:
        model: the whole model. No part of it may inherit the declaration without declaring it again.
        needed: its parts that must declare it.
    """
    inheriting = (part for part in model.modules() if getattr(type(part), "computes_in_chunks", False))
    for part in itertools.chain(needed, inheriting):
        if not computes_in_chunks(part):
            return type(part).__name__
    return None
