"""Summarise quickstarts that differ in seed or shape in one table of means and ranges.

    python examples/quickstart/seeds.py QUICKSTART_OUT QUICKSTART_OUT ...

Reads ``comparison/compare.json`` of each; runs of one name and architecture make one row.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.tables import markdown

COLUMNS = [
    ("valid accuracy", lambda run: run["valid_accuracy"], 3),
    ("code perplexity", lambda run: run["valid_code_perplexity"], 1),
    ("activation MB / s of audio", lambda run: run["activation_mb_per_audio_second"], 2),
    ("test CER %", lambda run: run["decodes"][0]["cer"] if run["decodes"] else None, 1),
    ("test WER %", lambda run: run["decodes"][0]["wer"] if run["decodes"] else None, 1),
]


def read(folders: List[Path]) -> Dict[Tuple[str, str, str], List[dict]]:
    """Return the runs by kind, last part of the name, and architecture."""
    rows: Dict[Tuple[str, str, str], List[dict]] = {}
    for folder in folders:
        path = folder / "comparison" / "compare.json"
        if not path.exists():
            raise UserError(f"there is no {path}: expected the folder of a quickstart that went to its end")
        for run in json.loads(path.read_text(encoding="utf-8")):
            rows.setdefault((run["kind"], run["name"].split("/")[-1], run["architecture"]), []).append(run)
    return rows


def cell(values: List[Optional[float]], decimals: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean = f"{sum(known) / len(known):.{decimals}f}"
    low, high = f"{min(known):.{decimals}f}", f"{max(known):.{decimals}f}"
    return mean if low == high else f"{mean} ({low} to {high})"


def table(rows: Dict[Tuple[str, str, str], List[dict]], kind: str) -> str:
    """Return a Markdown table: the mean, and in brackets the smallest and the largest, over the runs of each row."""
    chosen = {key[1:]: runs for key, runs in rows.items() if key[0] == kind}
    columns = [
        column for column in COLUMNS if any(column[1](run) is not None for runs in chosen.values() for run in runs)
    ]
    lines = []
    for (name, architecture), runs in chosen.items():
        cells = [cell([value(run) for run in runs], decimals) for _, value, decimals in columns]
        lines.append([name, architecture, str(len(runs)), *cells])
    return markdown(["run", "model", "runs", *(heading for heading, _, _ in columns)], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="QUICKSTART_OUT")
    rows = read(parser.parse_args().folders)
    print("\n".join(f"{kind}\n\n{table(rows, kind)}" for kind in dict.fromkeys(key[0] for key in rows)))


if __name__ == "__main__":
    sys.exit(exit_status(main))
