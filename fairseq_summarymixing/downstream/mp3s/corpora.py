"""The corpora of MP3S: where corpora.yaml says they are, what of them is there, and what was published."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ...data.buckeye import SPEAKERS, find_recordings
from ...data.report import Report
from ...errors import UserError, one_line
from ...input_files import no_folder
from ...tables import aligned
from ...text_files import read_lines, read_text


@dataclass(frozen=True)
class Count:
    """A part of a corpus: how much of it is there, how much was published (None = unknown), how many files miss."""

    what: str
    found: int
    published: int | None
    missing: int = 0

    @property
    def complete(self) -> bool:
        return self.missing == 0 and self.published in (None, self.found)


LIBRISPEECH = {"train-clean-100": 28539, "dev-clean": 2703, "test-clean": 2620, "test-other": 2939}  # utterances
# Clips of release 11.0, in train.tsv, dev.tsv and test.tsv
COMMON_VOICE = {"cy": (7726, 5247, 5266), "eu": (10832, 6561, 6561)}
SLURP = {"train": None, "devel": 8690, "test": 13078}  # recordings
VOXCELEB1 = {"recordings to train on": 148642, "recordings of the trials' speakers": 4874, "trials": 37611}
IEMOCAP = 5531  # utterances of the four emotions; the recipe ends without a score unless it finds as many
TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\t(?P<turn>Ses\d\d[FM]_\S+)\t(neu|hap|exc|sad|ang)\t")


def _librispeech(root: Path) -> list[Count]:
    counts = []
    for split, published in LIBRISPEECH.items():
        lists = sorted((root / split).glob("*/*/*.trans.txt"))
        if not lists:
            raise UserError(f"{root} holds no {split}/SPEAKER/CHAPTER/*.trans.txt")
        lines = [(file.parent, line.split()) for file in lists for line in read_lines(file)]
        listed = {folder / f"{words[0]}.flac" for folder, words in lines if words}
        missing = listed - set((root / split).glob("*/*/*.flac"))
        counts.append(Count(split, len(listed), published, len(missing)))
    return counts


def _common_voice(root: Path, language: str) -> list[Count]:
    counts, clips = [], {path.name for path in (root / "clips").glob("*.mp3")}
    for name, published in zip(("train.tsv", "dev.tsv", "test.tsv"), COMMON_VOICE[language]):
        header, *lines = read_lines(root / name) or [""]
        if header.split("\t")[:3] != ["client_id", "path", "sentence"]:
            raise UserError(
                f"{root / name}: the recipe takes columns by their place in release 11.0, client_id, path, sentence; "
                f"found {', '.join(header.split(chr(9))[:4])[:80]}: use cv-corpus-11.0-2022-09-21"
            )
        listed = [line.split("\t")[1] for line in lines if "\t" in line]
        counts.append(Count(name, len(listed), published, sum(clip not in clips for clip in listed)))
    return counts


def _slurp(root: Path) -> list[Count]:
    for needed in ("slurp_synth", "train_synthetic.jsonl"):
        if not (root / needed).exists():
            raise UserError(f"{root} holds no {needed}, which the recipe prepares, though it does not train on it")
    counts, there = [], {path.name for path in (root / "slurp_real").glob("*.flac")}
    for name, published in SLURP.items():
        lines = enumerate(read_lines(root / f"{name}.jsonl"), start=1)
        files = [file for number, line in lines for file in _recordings(line, f"{root / name}.jsonl:{number}")]
        counts.append(Count(name, len(files), published, sum(file not in there for file in files)))
    return counts


def _recordings(line: str, place: str) -> list[str]:
    """Return the files of an entry of SLURP; the place is for the UserError where it is none."""
    try:
        files = [recording["file"] for recording in json.loads(line)["recordings"]]
        if all(isinstance(file, str) for file in files):
            return files
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise UserError(f"{place}: expected an object of JSON with recordings; found {line[:60]!r}")


def _voxceleb1(root: Path) -> list[Count]:
    if "/wav/" in f"{root}/":
        raise UserError(f"{root}: the recipe finds speakers after the first /wav/ of a path: move the corpus")
    found = {path.relative_to(root / "wav").as_posix() for path in (root / "wav").glob("*/*/*.wav")}
    if not found:
        raise UserError(f"{root} holds no wav/idNNNNN/VIDEO/NNNNN.wav (dev and test in the same folder wav)")
    trials = [line.split() for line in read_lines(root / "veri_test2.txt") if line.strip()]
    named = {name for _, *names in trials for name in names}
    speakers = {name.split("/")[0] for name in named}
    tested = sum(path.split("/")[0] in speakers for path in found)
    numbers = (len(found) - tested, tested, len(trials))
    counts = [Count(what, number, published) for (what, published), number in zip(VOXCELEB1.items(), numbers)]
    return [*counts, Count("recordings named in trials", len(named), None, len(named - found))]


def _iemocap(root: Path) -> list[Count]:
    listed, missing = 0, 0
    for session in range(1, 6):
        folder = root / f"Session{session}"
        for file in sorted((folder / "dialog" / "EmoEvaluation").glob("[!.]*.txt")):
            turns = [found["turn"] for found in map(TURN.match, read_lines(file)) if found]
            listed += len(turns)
            wavs = folder / "sentences" / "wav"
            missing += sum(not (wavs / turn.rpartition("_")[0] / f"{turn}.wav").is_file() for turn in turns)
    if listed != IEMOCAP:
        raise UserError(f"{root} holds {listed} utterances of the four emotions; the recipe runs with {IEMOCAP} only")
    return [Count("utterances", listed, IEMOCAP, missing)]


def _buckeye(root: Path) -> list[Count]:
    recordings = find_recordings(root, Report())
    without = sum(not {"wav", "words"} <= recording.files.keys() for recording in recordings)
    speakers = {recording.name[:3] for recording in recordings}
    return [Count("speakers", len(speakers), SPEAKERS), Count("recordings", len(recordings), None, without)]


CHECKS: Mapping[str, Callable[[Path], list[Count]]] = {
    "librispeech": _librispeech,
    "commonvoice_cy": lambda root: _common_voice(root, "cy"),
    "commonvoice_eu": lambda root: _common_voice(root, "eu"),
    "slurp": _slurp,
    "voxceleb1": _voxceleb1,
    "iemocap": _iemocap,
    "buckeye": _buckeye,
}


def read_corpora(path: str | Path) -> dict[str, Path]:
    """Read corpora.yaml: the folder of each corpus, relative to the file, by the keys of CHECKS.

    Raises:
        UserError: it is no such file or names another corpus.
    """
    try:
        content = yaml.safe_load(read_text(path))
    except UserError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: of a date that is none
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or one_line(error)
        place = f"{path}:{mark.line + 1}" if mark else path
        raise UserError(f"{place}: expected YAML, a line 'corpus: folder' for each corpus; {problem}") from error
    if not content or not isinstance(content, dict) or not all(map(_is_folder, content.values())):
        raise UserError(f"{path}: expected a line 'corpus: folder' for each of {', '.join(CHECKS)}")
    for name in content:
        if name not in CHECKS:
            raise UserError(f"{path}: expected {', '.join(CHECKS)}; found {name}")
    return {name: (Path(path).absolute().parent / os.path.expanduser(folder)) for name, folder in content.items()}


def _is_folder(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def look(name: str, corpora: Mapping[str, Path]) -> list[Count]:
    """Return what is there of a corpus, from its lists and file names; no recording is opened.

    Raises:
        UserError: it is not named, or not there, or not as the recipe can read it.
    """
    if name not in corpora:
        raise UserError(f"`corpora` names no folder for {name}: add a line '{name}: FOLDER' to that file")
    if not corpora[name].is_dir():
        raise UserError(f"{no_folder(corpora[name])}; expected that of {name}, as `corpora` names it")
    return CHECKS[name](corpora[name])


def check(path: str | Path, names: list[str] | None = None) -> str:
    """Return a table of the corpora that the file names, or of ``names``.

    Raises:
        UserError: after the table was printed: a corpus is not there or incomplete.
    """
    corpora = read_corpora(path)
    rows, wrong = [], []
    for name in names or corpora:
        try:
            counts = look(name, corpora)
        except UserError as error:
            rows.append([name, "not usable", "", "", ""])
            wrong.append(f"{name}: {error}")
            continue
        rows += [[name, *_cells(count)] for count in counts]
        if not all(count.complete for count in counts):
            wrong.append(f"{name} is not the whole corpus")
    table = aligned(["corpus", "part", "found", "published", "files missing"], rows)
    if wrong:
        print(table)
        raise UserError("; ".join(wrong))
    left = [name for name in CHECKS if name not in (names or corpora)]
    return f"{table}\nevery corpus is complete" + (f"; not looked for: {', '.join(left)}" if left else "")


def _cells(count: Count) -> list[str]:
    published = "unknown" if count.published is None else str(count.published)
    return [count.what, str(count.found), published, str(count.missing)]
