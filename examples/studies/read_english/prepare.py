"""Make the study's manifests and labels of a folder that holds read_english/ and drink_orders/.

Each of the two holds audio/ and a table with a header, utterances.tsv: path below audio/, split and, as far as they are
known, text, speaker and label. Opus is slow to decode, so OUT/audio holds FLAC copies. Made below OUT/data, each with
train, valid and test as far as there are such:

    pretraining  every recording but those of dev and test; valid is dev
    one_hour     train_1h and train_10min, with transcripts
    ten_minutes  train_10min, with transcripts
    speakers     train, train_1h and train_10min, with the speaker
    drinks       the orders, with the drink
"""

from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from fairseq_summarymixing.data.audio import BadAudio
from fairseq_summarymixing.data.copies import Copies
from fairseq_summarymixing.data.parallel import map_in_threads
from fairseq_summarymixing.data.published import PublishedCorpus, Utterance, write_corpus
from fairseq_summarymixing.data.recordings import copy_name, examine
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.text_files import read_lines

READ_ENGLISH, DRINK_ORDERS = "read_english", "drink_orders"
HELD_OUT = {"valid": "dev", "test": "test"}
# Of one corpus: LibriSpeech's recordings would be told apart by their sound
LABELLED = ("train", "train_1h", "train_10min")

Table = List[Dict[str, str]]


def read_table(folder: Path) -> Table:
    """Read FOLDER/utterances.tsv as a dictionary for each line.

    Raises:
        UserError: there is no such file, or a line has another number of fields than the header.
    """
    path = folder / "utterances.tsv"
    header, *lines = [line.split("\t") for line in read_lines(path)] or [[]]
    for number, fields in enumerate(lines, start=2):
        if len(fields) != len(header):
            raise UserError(f"{path}:{number}: expected {len(header)} fields, as in the header; found {len(fields)}")
    if not {"path", "split"} <= {*header}:
        raise UserError(f"{path}: expected the columns path and split in its first line; found {' '.join(header)!r}")
    return [dict(zip(header, fields)) for fields in lines]


def prepare(source: Path, out: Path) -> None:
    """Write all that can be made of the corpora that are there; what is written already is left alone.

    Raises:
        UserError: neither corpus is there, or nothing of a split can be used.
    """
    found = [name for name in (READ_ENGLISH, DRINK_ORDERS) if (source / name / "utterances.tsv").is_file()]
    if READ_ENGLISH not in found:
        raise UserError(f"there is no {source / READ_ENGLISH / 'utterances.tsv'}: --data names the folder around it")
    for name in found:
        table = copy_audio(source / name, out / "audio" / name)
        for folder, splits, fields in folders(name, table):
            if splits["train"] and not (out / "data" / folder / "train.tsv").exists():
                corpus = make_corpus(folder, out / "audio" / name, splits, fields)
                print(f"{folder}\n{write_corpus(corpus, out / 'data' / folder)}", flush=True)


def pretraining_data(out: Path) -> Path:
    """Return the folder of the manifests to pre-train on; raises UserError where they are not there."""
    data = out / "data" / "pretraining"
    if not (data / "train.tsv").exists():
        raise UserError(f"there is no {data / 'train.tsv'}: run the stage prepare first")
    return data


def copy_audio(source: Path, out: Path) -> Table:
    """Write FLAC copies of the recordings that are there. Returns their lines, with the paths of the copies."""
    table = [line for line in read_table(source) if (source / "audio" / line["path"]).is_file()]
    copies, usable = Copies(out), []

    def copy(line: Dict[str, str]):
        return examine(line["path"], source=source / "audio", copies=copies)

    for line, result in zip(table, map_in_threads(copy, table, None, f"copies of {source.name}")):
        if isinstance(result, BadAudio):
            print(f"left out: {line['path']}: {result}", flush=True)
        else:
            usable.append({**line, "path": copy_name(line["path"])})
    copies.finish()
    return usable


def folders(corpus: str, table: Table) -> List[tuple]:
    """Return for each folder of manifests its name, its lines by split, and the columns for transcript and label."""
    held_out = {name: select(table, (split,)) for name, split in HELD_OUT.items()}
    if corpus == DRINK_ORDERS:
        return [("drinks", {"train": select(table, ("train",)), **held_out}, {"label": "label"})]
    pretraining = [line for line in table if line["split"] not in HELD_OUT.values()]
    return [
        ("pretraining", {"train": pretraining, "valid": held_out["valid"]}, {}),
        ("one_hour", {"train": select(table, ("train_1h", "train_10min")), **held_out}, {"text": "text"}),
        ("ten_minutes", {"train": select(table, ("train_10min",)), **held_out}, {"text": "text"}),
        ("speakers", {"train": select(table, LABELLED), **held_out}, {"label": "speaker"}),
    ]


def select(table: Table, splits: Sequence[str]) -> Table:
    return [line for line in table if line["split"] in splits]


def make_corpus(name: str, root: Path, splits: Dict[str, Table], fields: Dict[str, str]) -> PublishedCorpus:
    """Describe a folder of manifests; a split of which nothing is there is left out."""
    splits = {split: lines for split, lines in splits.items() if lines}

    def getter(kind: str) -> Callable[[Dict[str, str]], Optional[str]]:
        return (lambda line: line[fields[kind]]) if kind in fields else (lambda line: None)

    text, label = getter("text"), getter("label")
    utterances = {
        split: [Utterance(line["path"], text(line), label(line)) for line in lines] for split, lines in splits.items()
    }
    return PublishedCorpus(name, root, utterances)
