"""The files that messages.txt names in the sections on decoding, features, probes and on models: in folders of their
own, odd/ for checkpoints."""

import json

import tiny
import torch
from checkpoint_files import ctc, pretrained

SAFETENSORS = b'{"odd": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
WORDS = "\\data\\\nngram 1=3\n\n\\1-grams:\n-99\t<s>\n-1\t</s>\n-1\tAB\n\n\\end\\\n"
PAIRS = WORDS.replace("=3\n", "=3\nngram 2=1\n")
TEXTS = {
    "notes.npz": "not of ours\n",
    "lm/marked.arpa": f"\ufeff{WORDS}",
    "lm/gramless.arpa": "\\data\\\n\n\\1-grams:\n",
    "lm/many.arpa": WORDS.replace("=3", "=many"),
    "lm/single.arpa": WORDS,
    "lm/cut.arpa": PAIRS,
    "lm/lettered.arpa": PAIRS.replace("-99", "one"),
    "lm/above.arpa": PAIRS.replace("-99", "9"),
    "lm/unbegun.arpa": PAIRS.replace("<s>", "A"),
    "lm/other.binary": "mmap lm http://kheafield.com/code format version 5\n" + "\0" * 100,
    "listed/unclosed.yaml": "slurp: [\n",
    "beside/a.txt": "a reference",
    "lm/unspelt.txt": "AB\n",
    "lm/open.txt": "AB\tA B\n",
    "listed/nul.txt": "a\0b\n",
    "listed/noise.zip": "nothing" * 9,
    "made/a.json": "{}",
    "made-of-another/a.json": json.dumps(
        {
            "audio": ["/b.wav", 9, 0],
            "checkpoint": ["/b.pt", 9, 0],
            "window_seconds": None,
            "dtype": "fp32",
        }
    ),
    "made-of-another/a.layer-2.npy": "",
    "odd/hf/config.json": '{"model_type": "wav2vec2"}',
    "odd/hf/model.safetensors": (len(SAFETENSORS)).to_bytes(8, "little") + SAFETENSORS + bytes(4),
}
# By their files' ending: of train, of other splits
LABELS = {
    "ltr": ("A B |\nC A B |\n", "A B |\nC A B |\n"),
    "mute": ("A B |\nC A B |\n", "\n\n"),
    "blank": ("\n\n", "A |\nB |\n"),
    "cls": ("ann\nbob\n", "ann\nbob\n"),
    "gap": ("ann\n\n", "ann\nbob\n"),
    "one": ("ann\nann\n", "ann\nann\n"),
    "new": ("ann\nbob\n", "ann\ncat\n"),
}
# Folders of data with one recording that cannot be used
UNUSABLE = {
    "gone": "gone.wav\t8000",
    "slow": "rate8k/a.wav\t8000",
    "stub": "blips/0.wav\t8000",
    "zipped": "listed/noise.zip:0:9\t8000",
    "beyond": "listed/noise.zip:99999:9\t8000",
    "long": "audio/a.wav\t68719476736",
}


def write_model_files(folder, write):
    """Write them all; ``pretrained.pt`` and ``ctc.pt`` are there."""
    for name, content in TEXTS.items():
        write(folder / name, content)
    tiny.write_wave(folder / "beside/a.wav", tiny.tone(0.5))
    tiny.write_wave(folder / "clips/blip.wav", tiny.tone(0.001))
    tiny.write_wave(folder / "clips/long.wav", tiny.tone(301, 4000), 4000)
    for name in ("0", "1"):
        tiny.write_wave(folder / f"blips/{name}.wav", tiny.tone(0.01))
    for split in ("train", "valid"):
        write(folder / f"blips/{split}.tsv", "blips\n" + "".join(f"{name}.wav\t160\n" for name in ("0", "1")))
    for name, row in UNUSABLE.items():
        for split in ("train", "valid"):
            write(folder / f"{name}/{split}.tsv", f".\n{row}\n")
    write(folder / "half/train.tsv", ".\ndata/audio/train-0.wav\t8000\ngone.wav\t8000\n")
    write(folder / "half/valid.tsv", ".\ndata/audio/valid-0.wav\t8000\n")
    (folder / "locked").mkdir()
    (folder / "locked/.training.lock").symlink_to("elsewhere")
    write_probe_data(folder, write)
    write_odd_models(folder)


def write_probe_data(folder, write):
    """A folder of three splits for probes, with labels of several kinds, by the endings of their files."""
    clips = {"train": "data/audio/train", "valid": "data/audio/valid", "test": "audio/"}
    for split, stem in clips.items():
        names = [f"{stem}{end}.wav" for end in (("a", "b") if split == "test" else ("-0", "-1"))]
        write(folder / f"probing/{split}.tsv", ".\n" + "".join(f"{name}\t8000\n" for name in names))
        for kind, lines in LABELS.items():
            write(folder / f"probing/{split}.{kind}", lines[split != "train"])
    write(folder / "probing/noise.tsv", ".\nlist.txt\t8000\n")
    write(folder / "probing/noise.ltr", "A |\n")


def write_odd_models(folder):
    whole = torch.load(folder / "pretrained.pt", weights_only=False)
    tuned = torch.load(folder / "ctc.pt", weights_only=False)
    attention, lite = folder / "odd/attention.pt", folder / "odd/lite.pt"
    pretrained(attention, "twin")
    pretrained(lite, "lite")
    pretrained(folder / "odd/stock.pt", "stock")
    ctc(folder / "odd/undelimited.pt", folder / "pretrained.pt", symbols="ABCDEF")
    lite = torch.load(lite, weights_only=False)
    inner = tuned["cfg"]["model"]["w2v_args"]
    odd = {
        "diverged": with_weights(whole, lambda weight: weight * 1e17),
        "diverged-ctc": with_weights(tuned, lambda weight: weight * 1e17),
        "unquantised": with_fields(whole, quantize_targets=False),
        "unbuildable": with_fields(whole, encoder_embed_dim="many"),
        "combiner": {**lite, "model": {**lite["model"], "encoder.layers.0.mixer.combiner.weight": torch.ones(1)}},
        "unlabelled": {**tuned, "cfg": {**tuned["cfg"], "task": {**tuned["cfg"]["task"], "labels": None}}},
        "nameless": {**whole, "model": {f"encoder.layers.{layer}.odd": torch.ones(1) for layer in (0, 1)}},
        "uninstalled": with_fields(tuned, w2v_args={**inner, "model": {**inner["model"], "_name": "data2vec3"}}),
    }
    for name, state in odd.items():
        torch.save(state, folder / f"odd/{name}.pt")


def with_weights(state, change):
    return {**state, "model": {name: change(weight) for name, weight in state["model"].items()}}


def with_fields(state, **fields):
    return {**state, "cfg": {**state["cfg"], "model": {**state["cfg"]["model"], **fields}}}
