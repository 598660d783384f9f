"""Make segments of speech, fairseq manifests and transcripts for the Buckeye corpus of conversations.

    python manifests/buckeye.py BUCKEYE OUT --case upper
    python manifests/buckeye.py BUCKEYE --check

BUCKEYE holds the corpus as downloaded (s01.zip to s40.zip, with a .zip for each recording inside) or unpacked: for
each recording a .wav and a .words file. A segment is a run of words between labels that are no words (<SIL>,
<VOCNOISE>, {B_TRANS}, ...) or hesitations ("uh"), of at least --min-seconds and --min-words:
OUT/audio/SPEAKER/RECORDING-000.flac and so on. valid are speakers s36 and s37, test s38 to s40, train the others, as
in the MP3S benchmark, which is also where the lengths come from.
"""

import argparse
import sys
from pathlib import Path

from fairseq_summarymixing.data.buckeye import SPEAKERS, find_recordings, write_segments
from fairseq_summarymixing.data.page import add_out, check_out
from fairseq_summarymixing.data.published import PublishedCorpus, check_corpus
from fairseq_summarymixing.data.report import Report
from fairseq_summarymixing.data.text_rules import text_rules
from fairseq_summarymixing.errors import UserError, exit_status


def make(args: argparse.Namespace) -> None:
    check_out(args)
    if args.check:
        check(args.corpus)
        return
    if args.min_words < 1 or not args.min_seconds >= 0:
        raise UserError(
            f"`min_words` must be 1 or more and `min_seconds` 0 or more; got {args.min_words} and {args.min_seconds:g}"
        )
    rules = text_rules(args.case, args.keep_characters)
    print(write_segments(args.corpus, args.out, rules, args.min_seconds, args.min_words, args.workers))


def check(corpus: Path) -> None:
    report = Report()
    recordings = find_recordings(corpus, report)
    for path, reason in report.entries:
        print(f"{path}: {reason}")
    whole = [recording for recording in recordings if {"wav", "words"} <= recording.files.keys()]
    counts = [
        ("speakers", len({recording.name[:3] for recording in recordings}), SPEAKERS),
        ("recordings with .wav and .words", len(whole), len(recordings)),
    ]
    check_corpus(PublishedCorpus("Buckeye", corpus, {}, counts=counts))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="BUCKEYE")
    add_out(parser)
    parser.add_argument("--workers", type=int, help="threads (default: one per processor)")
    parser.add_argument("--case", choices=["upper", "lower"], help="of transcripts (default: as they are)")
    parser.add_argument("--keep-characters", metavar="SET", help='of transcripts, such as "A-Z\'" (default: all)')
    parser.add_argument("--min-seconds", type=float, default=2, help="of a segment (default %(default)s)")
    parser.add_argument("--min-words", type=int, default=3, help="of a segment (default %(default)s)")
    args = parser.parse_intermixed_args()  # OUT may follow an option
    return exit_status(lambda: make(args), parser)


if __name__ == "__main__":
    sys.exit(main())
