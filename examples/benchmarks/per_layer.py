"""Count what one more encoder layer costs a training step, of SummaryMixing and of its twin, as a Markdown table.

    python examples/benchmarks/per_layer.py

Counted without values, as `fairseq-summarymixing bench check` does: a step with three layers minus one with two.
"""

import argparse
import sys
from pathlib import Path
from typing import Iterator, List

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # runs from a checkout that is not installed

from fairseq_summarymixing.bench.counts import BATCH, MIXERS, count_step
from fairseq_summarymixing.tables import markdown

SHAPES = ("base", "155m")
SECONDS = 10
UNITS = {"operations": (1e9, "10^9 operations"), "activation_bytes": (1e6, "MB stored"), "calls": (1, "calls")}


def rows() -> Iterator[List[str]]:
    for shape in SHAPES:
        ours, twin = ([count_step(shape, mixer, SECONDS, layers=layers) for layers in (2, 3)] for mixer in MIXERS)
        for name, (unit, title) in UNITS.items():
            found = [(three[name] - two[name]) / unit for two, three in (ours, twin)]
            yield [f"{shape}, {title}", *(f"{value:.4g}" for value in found), f"{found[0] / found[1]:.2f}"]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(
        markdown(
            [f"a layer, {BATCH} x {SECONDS} s, fp32", "SummaryMixing", "twin", "ratio"], list(rows()), text_columns=[0]
        ),
        end="",
    )
