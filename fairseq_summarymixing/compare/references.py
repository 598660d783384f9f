"""Find curves of healthy runs: those that ship with the package, or files of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    from .run import Run

SHIPPED = Path(__file__).parent / "healthy_runs"


def shipped() -> list[str]:
    """Return the names of the curves that ship with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.jsonl"))


def read_reference(name: str | Path) -> Run:
    """Read a file of curves, or curves that ship by their name.

    Raises:
        UserError: there is neither, or the file holds no curves.
    """
    from .curves import read_curves

    path = SHIPPED / f"{name}.jsonl" if str(name) in shipped() else Path(name)
    if not path.is_file():
        names = ", ".join(shipped())
        raise UserError(f"`references`: {name} is neither a file nor one of the curves that ship: {names}")
    run = read_curves(path)
    run.name = f"reference {run.name}"
    run.notes.append(run.about.get("description") or f"curves of {path}")
    return run


def read_references(names: Sequence[str | Path], runs: Sequence[Run]) -> list[Run]:
    """Read references for these runs.

    Raises:
        UserError: as :func:`read_reference`; two have one name, or none of the runs is of a reference's kind.
    """
    found = [read_reference(name) for name in names]
    for number, reference in enumerate(found):
        if reference.kind not in {run.kind for run in runs}:
            kinds = ", ".join(sorted({run.kind for run in runs}))
            raise UserError(f"`references`: {names[number]} is of {reference.kind}, and the runs are of {kinds}")
        if reference.name in [other.name for other in found[:number]]:
            raise UserError(f"`references`: {names[number]} is given twice, or named as another: name each once")
    return found
