"""The files that the commands of messages.txt name."""

import shutil
import zipfile

import tiny
import torch
from checkpoint_files import LETTERS, ctc, pretrained
from message_corpus_files import write_corpora
from message_downstream_files import write_model_files
from message_import_files import write_models
from message_mp3s_files import write_mp3s_files

AUDIO = [f"data/audio/{split}-{clip}.wav" for split in ("train", "valid") for clip in (0, 1)]
TEXTS = {
    "list.txt": "a\nb\n",
    "others.txt": "c\n",
    "empty.txt": "",
    "latin.tsv": b"a\tCAF\xc9\n",
    "twice.tsv": "a\tAB\na\tCAB\n",
    "others.tsv": "c\tAB\n",
    "table.csv": "path,text\na,AB\n",
    "header.csv": "path,text\n",
    "unequal.csv": "path,text\na,AB,CAB\n",
    "unclosed.csv": 'path,text\na,"AB\n' + "b,AB\n" * 30,
    "scans/page.png": "",
    "telephone/call.ulaw": b"\x7f" * 800,
    "data/empty.tsv": "",
    "data/moved.tsv": "/nosuch\na.wav\t8000\n",
    "data/rowless.tsv": ".\n",
    "data/columns.tsv": ".\na.wav\t8000\t1\n",
    "data/frames.tsv": ".\na.wav\t-1\n",
    "data/absolute.tsv": ".\n/a.wav\t8000\n",
    "data/missing.tsv": ".\na.wav\t8000\n",
    "data/zip.tsv": ".\na.zip:x:9\t8000\n",
    "data/noise.tsv": ".\nlist.txt\t8000\n",
    "data/noise.ltr": "A |\n",
    "data/short.ltr": "A |\n",
    "data/wordless.ltr": "\n\n",
    "data/small.ltr": "a b |\nA |\n",
    "lexicon.txt": "AB\tA B |\n",
    "small-lexicon.txt": "ab\tA B |\n",
    "lm.arpa": "\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-9\t<unk>\t0\n-99\t<s>\t0\n-1\t</s>\n-1\tAB\t0\n\n"
    "\\2-grams:\n-3\t<s> </s>\n\n\\end\\\n",
    "text.pt": "this is text",
    "quiet/train.log": "nothing\n",
    "probe/result.json": '{"task": "ctc", "checkpoints": []}',
    "broken/result.json": "{",
    "mp3s/runs/SLURP-linear/ours/seed-1/settings.json": "{}",
    "mp3s/runs/SLURP-linear/ours/seed-1/result.json": '{"task": "SUPERB"}',
    "unfinished/runs/SLURP-linear/ours/seed-1/settings.json": "{}",
    "corpora.yaml": "librispeech: empty\n",
    "unknown.yaml": "switchboard: empty\n",
    "busy/.training.lock": "process 7 on node-1\n",
    "hf-bert/config.json": '{"model_type": "bert"}',
    "hf-list/config.json": "[]",
    "hf-eps/config.json": '{"model_type": "wav2vec2", "layer_norm_eps": 0.001}',
    "hf/config.json": '{"model_type": "wav2vec2"}',
    "libri/dev-clean/1/2/1-2.trans.txt": "1-2-0000 A\n",
    "libri-odd/dev-clean/1/2/1-2.trans.txt": "1-2-0000\n",
    "cy/clips/README": "",
    "slurp/train.jsonl": '{"sentence": "a"}\n',
    "vox/wav/id1/v/1.wav": "",
    "blank.txt": "\n",
    "digits/7_ann_0.wav": "",
    "digits/7_bob_0.wav": "",
    "run/train.log": '{"epoch": 1, "loss": "6", "num_updates": "10"}\n',
    "run2/train.log": '{"epoch": 1, "loss": "6", "num_updates": "10"}\n',
}
# Copies of the folder data with other files in them
DATA = {
    "data2": {},
    "lopsided": {"train.ltr": "A |\n"},
    "unlabelled": {"train.ltr": None},
    "no-dictionary": {"dict.ltr.txt": None},
    "no-counts": {"dict.ltr.txt": "A\n"},
    "other-dictionary": {"dict.ltr.txt": "Q 1\nX 1\n"},
    "speechless": {"train.ltr": "\n\n"},
    "special": {"train.ltr": "A <pad>\nA |\n"},
    "odd-trials": {"valid.trials": "1\ta\tb\n"},
    "no-trials": {"valid.trials": ""},
    "malformed-trials": {"valid.trials": "a b\n"},
    "empty-dictionary": {"dict.ltr.txt": ""},
    "own-dictionary": {"dict.ltr.txt": "<s> 9\n"},
    "twice-dictionary": {"dict.ltr.txt": "A 9\nA 8\n"},
    "odd-root": {"train.tsv": "o:dd\na.wav\t1600\n", "train.ltr": "A |\n", "valid.tsv": None, "valid.ltr": None},
}


class Evil:
    def __reduce__(self):
        return print, ("run",)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_files(folder):
    """Everything that the commands name."""
    for path in ("audio/a.wav", "audio/b.wav", *AUDIO):
        tiny.write_wave(folder / path, tiny.tone(0.5))
    tiny.write_wave(folder / "rate8k/a.wav", tiny.tone(0.5, 8000), 8000)
    for split in ("train", "valid", "short", "wordless", "small", "unlabelled"):
        write(folder / f"data/{split}.tsv", ".\n" + "".join(f"{path}\t8000\n" for path in AUDIO[:2]))
    for split in ("train", "valid"):
        write(folder / f"data/{split}.ltr", "A B |\nC A B |\n")
    write(folder / "data/dict.ltr.txt", "".join(f"{letter} 9\n" for letter in LETTERS))
    (folder / "empty").mkdir()
    for name, changes in DATA.items():
        (folder / name).mkdir()
        for file in ("train.tsv", "train.ltr", "valid.tsv", "valid.ltr", "dict.ltr.txt"):
            shutil.copyfile(folder / "data" / file, folder / name / file)
        for file, content in changes.items():
            (folder / name / file).unlink() if content is None else write(folder / name / file, content)
    for split in ("train", "valid"):  # a sweep has a folder for each job
        write(folder / f"rooted/{split}.tsv", (folder / f"data/{split}.tsv").read_text().replace(".", str(folder), 1))
    for name, content in TEXTS.items():
        write(folder / name, content)
    write_checkpoints(folder)
    write_corpora(folder)
    write_models(folder)
    write_model_files(folder, write)
    write_mp3s_files(folder, write)


def write_checkpoints(folder):
    """Two whole checkpoints, and files that are none."""
    whole = folder / "pretrained.pt"
    pretrained(whole, "summary_mixing")
    ctc(folder / "ctc.pt", whole)
    data, state, tuned = whole.read_bytes(), read(whole), read(folder / "ctc.pt")
    write(folder / "checkpoints/checkpoint_best.pt", b"")
    write(folder / "cut.pt", data[:-1000])
    write(folder / "flipped.pt", data[:9000] + bytes([data[9000] ^ 1]) + data[9001:])
    with zipfile.ZipFile(folder / "zip.pt", "w") as archive:
        archive.writestr("a.txt", "a")
    weights, config = state["model"], state["cfg"]
    name = "final_proj.bias"
    odd = {
        "code": {"model": Evil()},
        "list": [1],
        "bare": weights,
        "fields": {"epoch": 1},
        "unconfigured": {"model": weights},
        "nan": {**state, "model": {**weights, name: weights[name] * float("nan")}},
        "integers": {**state, "model": {**weights, name: weights[name].long()}},
        "evil": with_fields(state, conv_feature_layers="print(1)"),
        "other-model": with_fields(state, _name="hubert"),
        "wider": with_fields(state, encoder_embed_dim=64),
        "no-dictionary": {**tuned, "task_state": {}},
    }
    assert config["model"]["encoder_embed_dim"] != 64
    for file, content in odd.items():
        torch.save(content, folder / f"{file}.pt")
    write(folder / "model.safetensors", (2).to_bytes(8, "little") + b"{}" + bytes(8))


def read(path):
    return torch.load(path, weights_only=False)


def with_fields(state, **fields):
    return {**state, "cfg": {**state["cfg"], "model": {**state["cfg"]["model"], **fields}}}
