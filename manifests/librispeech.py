"""Make fairseq manifests and labels for LibriSpeech, as unpacked from openslr.org/12.

    python manifests/librispeech.py LIBRISPEECH_DIR OUT

For every split that is there, such as train-clean-100, OUT/SPLIT.tsv, .wrd and .ltr; ``train``, all training
splits together; ``valid``, a copy of --valid; dict.ltr.txt; and report.tsv: what was left out and why.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from fairseq_summarymixing.data.audio import SAMPLE_RATE
from fairseq_summarymixing.data.manifest import write_splits
from fairseq_summarymixing.data.parallel import map_in_threads
from fairseq_summarymixing.data.recordings import Recording, examine
from fairseq_summarymixing.data.report import Report
from fairseq_summarymixing.data.transcripts import clean, read_text
from fairseq_summarymixing.errors import UserError, exit_status

TRAIN = ("train-clean-100", "train-clean-360", "train-other-500")
SPLITS = (*TRAIN, "dev-clean", "dev-other", "test-clean", "test-other")


def read_transcripts(corpus: Path, split: str) -> dict:
    """Return {path relative to the corpus: text} of one split, from its SPEAKER-CHAPTER.trans.txt files."""
    texts = {}
    for file in (corpus / split).glob("*/*/*.trans.txt"):
        for number, line in enumerate(read_text(file).splitlines(), start=1):
            name, _, text = line.partition(" ")
            if not clean(text):
                raise UserError(f"{file}:{number}: expected 'utterance TEXT'; found {line[:60]!r}")
            texts[file.with_name(f"{name}.flac").relative_to(corpus).as_posix()] = clean(text)
    if not texts:
        raise UserError(f"{corpus / split} holds no SPEAKER/CHAPTER/*.trans.txt; unpack it again")
    return texts


def read_rows(corpus: Path, split: str, workers: int, report: Report) -> list:
    """Return the split's rows, sorted by path; recordings that are missing or damaged go to the report."""
    texts = read_transcripts(corpus, split)

    look = partial(examine, source=corpus, text_of=texts.get)
    paths, rows = sorted(texts), []
    for path, result in zip(paths, map_in_threads(look, paths, workers, split)):
        if isinstance(result, Recording):
            rows.append(result.row)
        else:
            report.add(path, str(result))
    if not rows:
        raise UserError(f"no recording of {corpus / split} can be used ({report.entries[-1][1]})")
    return rows


def make(corpus: Path, out: Path, train: list, valid: str, workers: int) -> None:
    present = [split for split in SPLITS if (corpus / split).is_dir()]
    missing = [split for split in [*train, valid] if split not in present]
    if not present:
        raise UserError(f"{corpus} holds none of {', '.join(SPLITS)}")
    if missing:
        raise UserError(f"{corpus} holds no {', '.join(missing)}, only {', '.join(present)}; see --train and --valid")
    train = train or [split for split in TRAIN if split in present]
    report = Report()
    splits = {split: read_rows(corpus, split, workers, report) for split in present}
    if train:
        splits["train"] = sorted((row for split in train for row in splits[split]), key=lambda row: row.path)
    splits["valid"] = splits[valid]
    report_path = report.write(out)
    write_splits(out, corpus, splits)
    for split, rows in splits.items():
        hours = sum(row.frames for row in rows) / SAMPLE_RATE / 3600
        print(f"{split}: {hours:.2f} hours, {len(rows)} recordings")
    print(f"left out: {len(report.entries)} recordings" + (f", see {report_path}" if report.entries else ""))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="LIBRISPEECH_DIR")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--train", nargs="+", default=[], choices=SPLITS, help="default: all training splits present")
    parser.add_argument("--valid", default="dev-other", choices=SPLITS, help="default %(default)s")
    parser.add_argument("--workers", type=int, help="threads (default: one per processor)")
    args = parser.parse_args()
    return exit_status(lambda: make(args.corpus, args.out, args.train, args.valid, args.workers), parser)


if __name__ == "__main__":
    sys.exit(main())
