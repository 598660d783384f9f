"""Valid inputs of every kind, small: a corpus, checkpoints, a Hugging Face directory, a language model, runs and
recipes."""

import json
from pathlib import Path

import tiny
import yaml
from checkpoint_files import LETTERS, ctc, pretrained

LIBRISPEECH = ("train-clean-100", "dev-clean", "test-clean", "test-other")
TABLE = "client_id\tpath\tsentence\nspeaker\ta.mp3\tUn dau.\nspeaker\tb.mp3\tTri.\n"
WORDS = ("AB", "BAD", "CAB", "DEAD")

CORPORA = {
    **{f"librispeech/{split}/1/2/1-2.trans.txt": "1-2-0000 A B\n1-2-0001 C\n" for split in LIBRISPEECH},
    **{f"slurp/{name}.jsonl": '{"recordings": [{"file": "a.flac"}]}\n' * 2 for name in ("train", "devel", "test")},
    **dict.fromkeys(("slurp/slurp_synth/a.flac", "slurp/train_synthetic.jsonl"), ""),
    **{f"commonvoice_cy/{name}.tsv": TABLE for name in ("train", "dev", "test")},
    "voxceleb1/wav/id1/video/1.wav": "",
    "voxceleb1/veri_test2.txt": "0 id1/video/1.wav id2/video/1.wav\n",
}


def write_inputs(folder):
    """Write all inputs; their paths are relative to the folder, so that it can be copied. Returns the folder."""
    folder = Path(folder)
    tiny.write_corpus(folder / "data", clips=4, seconds=(0.4, 0.6))
    for split in ("train", "valid"):
        _make_relative(folder / "data", split)
    (folder / "data/dict.ltr.txt").write_text("".join(f"{letter} 10\n" for letter in LETTERS))
    write_tables(folder)
    pretrained(folder / "pretrained.pt", "summary_mixing")
    ctc(folder / "ctc.pt", folder / "pretrained.pt")
    write_language_model(folder)
    for name in ("run", "run2"):
        write_run(folder / name)
    write_splits(folder)
    write_probe(folder / "probes")
    write_mp3s(folder)
    for kind, recipe in (("pretraining", "summarymixing_base_librispeech"), ("finetuning", "base_10h")):
        write_recipe(folder, kind, recipe)
    return folder


def write_directory(folder):
    """The checkpoint ctc.pt as a directory of Hugging Face's, as ``export hf`` writes it, without the proof."""
    from fairseq_summarymixing.checkpoints import Checkpoint
    from fairseq_summarymixing.converters.export_hf import write
    from fairseq_summarymixing.converters.export_source import read_export_source

    (folder / "hf").mkdir()
    write(read_export_source(Checkpoint.read(folder / "ctc.pt"), None), folder / "hf")


def _make_relative(data, split):
    lines = (data / f"{split}.tsv").read_text().splitlines()
    (data / f"{split}.tsv").write_text("\n".join(["data", *lines[1:]]) + "\n")
    texts = [f"{WORDS[row % 4]} {WORDS[-row % 3]}" for row in range(len(lines) - 1)]
    (data / f"{split}.wrd").write_text("".join(f"{text}\n" for text in texts))
    (data / f"{split}.ltr").write_text("".join(" ".join(text.replace(" ", "|")) + " |\n" for text in texts))
    (data / f"{split}.cls").write_text("".join(f"label{row % 2}\n" for row in range(len(texts))))
    paths = [line.split("\t")[0] for line in lines[1:]]
    (data / f"{split}.trials").write_text(f"1\t{paths[0]}\t{paths[1]}\n0\t{paths[0]}\t{paths[2]}\n")


def write_tables(folder):
    """A table of transcripts, one with a header, and lists of splits, for ``manifest folder data/audio``."""
    names = {split: [f"{split}-{clip}.wav" for clip in range(4)] for split in ("train", "valid")}
    every = [*names["train"], *names["valid"]]
    (folder / "table.tsv").write_text("".join(f"{name}\tAB CAB\n" for name in every))
    rows = [f'{name},"AB, CAB",speaker{row % 3},label{row % 2}\n' for row, name in enumerate(every)]
    (folder / "table.csv").write_text("path,text,speaker,label\n" + "".join(rows))
    for split, those in names.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in those))


def write_language_model(folder):
    words = {"<unk>": -9, "<s>": -99, "</s>": -1, **dict.fromkeys(WORDS, -1)}
    lines = [f"{score}\t{word}" + ("" if word == "</s>" else "\t0") for word, score in words.items()]
    head, bigrams = ["\\data\\", f"ngram 1={len(lines)}", "ngram 2=1"], ["\\2-grams:", "-3\t<s> </s>"]
    text = "\n".join([*head, "", "\\1-grams:", *lines, "", *bigrams, "", "\\end\\", ""])
    (folder / "lm.arpa").write_text(text)
    (folder / "lexicon.txt").write_text("".join(f"{word}\t{' '.join(word)} |\n" for word in WORDS))


def write_run(folder):
    """A run's log, as fairseq and hydra write it, and a decode's result."""
    (folder / "decode/test").mkdir(parents=True)
    (folder / "decode/test/result.json").write_text(json.dumps({"wer": 12.5, "wer_ci": [11, 14], "split": "test"}))
    lines = ["'model': {'_name': 'wav2vec2', 'num_negatives': 9}", "num. shared model params: 1,000 (num. trained: 9)"]
    for update in (10, 20, 30):
        record = {"loss": 6.0, "accuracy": 0.1, "code_perplexity": 12.0, "ups": 2.0, "wps": 200.0, "wpb": 100.0}
        record = {"epoch": 1, "update": 0.5, **{key: str(value) for key, value in record.items()}}
        lines.append(json.dumps({**record, "num_updates": str(update)}))
        lines.append(json.dumps({"epoch": 1, "valid_loss": "5", "valid_num_updates": str(update)}))
    (folder / "train.log").write_text("".join(f"[2026-01-01 10:00:00,000][train][INFO] - {line}\n" for line in lines))


def write_splits(folder):
    """Three splits to train, choose and test probes on, of data's recordings."""
    (folder / "spoken").mkdir()
    rows = {split: (folder / f"data/{split}.tsv").read_text().splitlines()[1:] for split in ("train", "valid")}
    for split, those in {"train": rows["train"], "valid": rows["valid"][:2], "test": rows["valid"][2:]}.items():
        (folder / f"spoken/{split}.tsv").write_text("\n".join(["data", *those, ""]))
        (folder / f"spoken/{split}.cls").write_text("".join(f"label{row % 2}\n" for row in range(len(those))))


def write_probe(folder):
    """What ``probe`` has found, as far as ``compare`` shows it."""
    folder.mkdir()
    result = {"description": "Probe", "task": "ctc", "head": "linear", "splits": ["train", "valid", "test"]}
    result["checkpoints"] = [{"name": name, "layer_weights": [[0.2, 0.8], [0.4, 0.6]]} for name in ("ours", "stock")]
    result.update(tables=[{"headings": ["checkpoint", "WER %"], "rows": [["ours", "9"], ["stock", "10"]]}], notes=["n"])
    (folder / "result.json").write_text(json.dumps(result))


def write_mp3s(folder):
    """A run of MP3S with a score, and corpora of which there are the lists."""
    run = folder / "mp3s/runs/SLURP-linear/ours/seed-1"
    run.mkdir(parents=True)
    settings = {"options": [], "epochs": None, "normalised": False, "benchmark": "b", "corpus": []}
    result = {"task": "SLURP/linear", "model": "ours", "place": 0, "seed": 1, "speaker": None, "scores": {"test": 80.0}}
    part = {"what": "test", "found": 9, "published": 10, "missing": 1}
    result.update(layer_weights=[0.7, 0.3], seconds=9.5, versions={"torch": "2"}, device="cpu", corpus=[part])
    (run / "settings.json").write_text(json.dumps(settings))
    (run / "result.json").write_text(json.dumps({**result, "settings": settings}))
    for path, text in CORPORA.items():
        (folder / "corpora" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "corpora" / path).write_text(text)
    names = ("librispeech", "slurp", "commonvoice_cy", "voxceleb1")
    (folder / "corpora.yaml").write_text("".join(f"{name}: corpora/{name}\n" for name in names))


def write_recipe(folder, kind, name):
    """A whole recipe, with a tiny model and one update, as FOLDER/KIND.yaml."""
    recipe = yaml.safe_load((tiny.EXAMPLES / kind / f"{name}.yaml").read_text())
    settings = {"pretraining": tiny.pretraining, "finetuning": lambda *paths: tiny.finetuning(*paths, "pretrained.pt")}
    for key, value in settings[kind]("data", "checkpoints").items():
        group, field = key.split(".")
        recipe.setdefault(group, {})[field] = value
    del recipe["common"]["user_dir"]  # is imported already
    (folder / f"{kind}.yaml").write_text("# @package _global_\n" + yaml.safe_dump(recipe))
