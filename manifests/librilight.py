"""Make segments of speech and fairseq manifests from Libri-Light, as unpacked: SIZE/SPEAKER/BOOK/FILE.flac and
FILE.json.

    python manifests/librilight.py LIBRILIGHT_DIR OUT --valid LIBRISPEECH_DIR/dev-clean
    python manifests/librilight.py LIBRILIGHT_DIR --check

LIBRILIGHT_DIR holds one or several sizes (small, medium, large) or is one. The stretches of speech that FILE.json
names ("voice_activity") are joined, without the silence between them, into OUT/audio/SPEAKER/BOOK/FILE-000.flac and
so on: copies, since a manifest cannot refer to a part of a file. A segment ends at the last pause that leaves it, and
what follows, long enough; where there is none, inside a stretch, whose rest begins the next segment. So only
recordings with less than --min-seconds of speech, and damaged ones, are left out.

OUT gets train.tsv; valid.tsv, of --valid; report.tsv: what was left out and why; summary.json; speakers.tsv. Run
again, it goes on where it stopped.
"""

import argparse
import json
import sys
from pathlib import Path, PurePosixPath

from fairseq_summarymixing.data.audio import SAMPLE_RATE, BadAudio
from fairseq_summarymixing.data.folder_options import check_places, refuse_leftovers
from fairseq_summarymixing.data.page import add_out, check_out
from fairseq_summarymixing.data.published import PublishedCorpus, check_corpus
from fairseq_summarymixing.data.report import Report
from fairseq_summarymixing.data.segmentation.segment_corpus import make_segments
from fairseq_summarymixing.data.segmentation.segments import stretches_of
from fairseq_summarymixing.data.walk import find_audio
from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.text_files import open_text

SIZES = {"small": 489, "medium": 1742, "large": 7439}  # speakers of each and those before it
RECORDINGS = 219_041  # of all three


def find_recordings(corpus: Path, report: Report) -> dict:
    """Return {"SPEAKER/BOOK/FILE": the path of its .flac}, sorted."""
    found, recordings = [PurePosixPath(path) for path in find_audio(corpus, ["flac", "json"], report.add)], {}
    audio = {path.with_suffix("") for path in found if path.suffix.lower() == ".flac"}
    for path in found:
        name = "/".join(path.with_suffix("").parts[-3:])
        if path.suffix.lower() == ".json":
            if path.with_suffix("") not in audio and len(path.parts) >= 3:
                report.add(str(corpus / path), "no .flac beside it")
        elif len(path.parts) < 3:
            report.add(str(corpus / path), "not SPEAKER/BOOK/FILE.flac")
        elif name in recordings:
            report.add(str(corpus / path), f"its segments would have the same names as those of {recordings[name]}")
        else:
            recordings[name] = corpus / path
    if not recordings:
        raise UserError(f"{corpus} holds no SPEAKER/BOOK/FILE.flac; expected Libri-Light or one of its sizes")
    return dict(sorted(recordings.items()))


def read_speech(marks: Path) -> list:
    """Return the stretches of speech, in samples, that a .json file names; raises BadAudio without any."""
    try:
        with open_text(marks) as file:
            intervals = json.load(file)["voice_activity"]
    except UserError as error:  # no file, or no text
        raise BadAudio(f"damaged .json: {error}") from error
    except OSError as error:
        raise BadAudio(f"no .json: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadAudio(f"damaged .json: {marks.name} holds no readable 'voice_activity'") from error
    return stretches_of(intervals)


def check(corpus: Path) -> None:
    """Compare what is there with the published sizes, which hold each other: 600 hours, 6,000 and 60,000 hours."""
    report, sizes = Report(), [size for size in SIZES if (corpus / size).is_dir()]
    recordings = find_recordings(corpus, report)
    counts = []
    speakers = len({name.split("/")[0] for name in recordings})
    if sizes == list(SIZES)[: len(sizes)]:
        counts.append(("speakers", speakers, SIZES[sizes[-1]] if sizes else speakers))
    if len(sizes) == len(SIZES):
        counts.append(("recordings", len(recordings), RECORDINGS))
    marked = sum(recording.with_suffix(".json").is_file() for recording in recordings.values())
    counts.append(("recordings with .json", marked, len(recordings)))
    check_corpus(PublishedCorpus(f"Libri-Light {' '.join(sizes)}", corpus, {}, counts=counts))


def make(corpus: Path, out: Path, valid: Path, seconds: tuple, workers: int) -> None:
    check_places(corpus, out, SAMPLE_RATE)
    refuse_leftovers(out, ["train.tsv", "valid.tsv"])
    report = Report()
    recordings = find_recordings(corpus, report)
    print(
        make_segments(
            recordings,
            out,
            marks_of=lambda recording: recording.with_suffix(".json"),
            read_speech=read_speech,
            seconds=seconds,
            valid=valid,
            workers=workers,
            report=report,
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="LIBRILIGHT_DIR")
    add_out(parser)
    parser.add_argument("--valid", type=Path, help="folder of 16 kHz recordings, or manifest, to make valid.tsv of")
    parser.add_argument("--min-seconds", type=float, default=10, help="of a segment (default %(default)s)")
    parser.add_argument("--max-seconds", type=float, default=30, help="at least twice as many (default %(default)s)")
    parser.add_argument("--workers", type=int, help="threads (default: one per processor)")
    args = parser.parse_intermixed_args()  # OUT may follow an option
    return exit_status(lambda: run(args), parser)


def run(args: argparse.Namespace) -> None:
    check_out(args)
    if args.check:
        check(args.corpus)
    else:
        make(args.corpus, args.out, args.valid, (args.min_seconds, args.max_seconds), args.workers)


if __name__ == "__main__":
    sys.exit(main())
