"""What users put around, into and onto the layers of a model."""

from torch import nn


def leaves(model, kind=nn.Module):
    """Names of the modules of this kind that hold no others."""
    return [
        name for name, part in model.named_modules() if not list(part.children()) and isinstance(part, kind) and name
    ]


def place(model, name):
    """The module that holds the one of this name, and the attribute under which it does."""
    parent, _, leaf = name.rpartition(".")
    return model.get_submodule(parent), leaf


class Doubled(nn.Module):
    """Around a layer: twice its output."""

    computes_in_chunks = True

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return 2 * self.inner(x)


class Flipped(nn.Module):
    """Around a layer: its output with the last axis from back to front, which no norm after it undoes."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).flip(-1)


class Reversed(nn.Module):
    """A parametrisation: the weight from back to front, which no norm after it undoes."""

    def forward(self, weight):
        return weight.flip(0)
