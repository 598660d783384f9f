"""Refuse checkpoints of SummaryMixing-lite from before it followed the published model."""

from typing import Iterable


def refuse_lite_with_combiner(names: Iterable[str]) -> None:
    """Refuse parameters of a lite mixer that has a combiner, which is another model than ``SummaryMixingLite``.

    Args:
        names: of the parameters that are to be loaded, of one mixer or of a whole model.

    Raises:
        ValueError: some mixer has a combiner and no local branch.
    """
    names = list(names)
    with_combiner, with_local = (
        {name.split(part)[0] for name in names if part in name} for part in ("combiner.", "local.")
    )
    if with_combiner - with_local:
        raise ValueError(
            "the parameters are of a SummaryMixing-lite with a combiner, which the published one has not: train it "
            "again, or use the version of fairseq_summarymixing that trained it"
        )
