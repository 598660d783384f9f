"""What does each mistake say? messages.txt holds a table of commands and their errors, word by word.

``python tests/test_messages.py > tests/messages.txt`` writes it anew, to be read line by line.
"""

import contextlib
import copy
import fcntl
import io
import re
import runpy
import shlex
import shutil
import zipfile
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("fairseq")
pytest.importorskip("flashlight.lib.text", reason="the lm extra is not installed")

import tiny
import torch
import yaml
from checkpoint_files import LETTERS, ctc, pretrained

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.data.formats import EXTENSIONS

TABLE = Path(__file__).with_name("messages.txt")
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
    for name, content in TEXTS.items():
        write(folder / name, content)
    write_checkpoints(folder)


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


class Commands:
    """Run the commands of the table in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = (folder / "busy/.training.lock").open()  # as another training holds it
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        recipes = {
            "pretrain": ("pretraining", "summarymixing_base_librispeech", tiny.pretraining("data", "save")),
            "finetune": ("finetuning", "base_10h", tiny.finetuning("data", "save", "pretrained.pt")),
        }
        self.recipes = {
            verb: (tiny.read_recipe(kind, name), settings) for verb, (kind, name, settings) in recipes.items()
        }

    def error(self, command):
        """The error of a command, with DIR for its folder and words for what differs between machines."""
        verb, *arguments = shlex.split(command)
        if verb in self.recipes:
            message = self._train(verb, arguments)
        else:
            is_page = verb.endswith(".py")
            message = self._call(
                partial(run_page, tiny.ROOT / verb, arguments) if is_page else partial(main, [verb, *arguments])
            )
        message = message.replace(str(self.folder), "DIR").replace(", ".join(EXTENSIONS), "EXTENSIONS")
        message = message.replace("and common.cpu=true:", "and torch finds no GPU here:")  # as it says beside a GPU
        return re.sub(r"[\d,]+ bytes|has [\d.e+]+ GB", lambda found: re.sub(r"\d\S*", "N", found[0]), message)

    @staticmethod
    def _call(run):
        printed = io.StringIO()
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(io.StringIO()):
            status = run()
        errors = [line for line in printed.getvalue().splitlines() if line.startswith("error: ")]
        assert status == 1 and errors[-1] == printed.getvalue().splitlines()[-1], printed.getvalue()
        return "\n".join(line[len("error: ") :] for line in errors)

    def _train(self, verb, overrides):
        from fairseq_cli.train import main as train

        recipe, settings = self.recipes[verb]
        given = (override.partition("=")[::2] for override in overrides)
        settings = {
            **settings,
            "common.user_dir": None,
            **{field: yaml.safe_load(value or "''") for field, value in given},
        }
        with pytest.raises(ValueError) as error, contextlib.redirect_stdout(io.StringIO()):
            train(tiny.complete(copy.deepcopy(recipe), settings))
        return str(error.value)


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    write_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield Commands(folder)


def run_page(page, arguments):
    """Run a script in manifests/ in this process; returns its exit status."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setattr("sys.argv", [str(page), *arguments])
        runpy.run_path(str(page), run_name="__main__")
    return left.value.code


def entries(text):
    """(command, message) of the table."""
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ |#|\n).*\n)*)", text + "\n", re.MULTILINE)
    return [(command, message.rstrip("\n")) for command, message in found]


@pytest.mark.parametrize("command, message", entries(TABLE.read_text(encoding="utf-8")))
def test_message(command, message, commands):
    assert commands.error(command) == message


def written_anew(folder):
    """The table with the messages as they are."""
    commands, lines = Commands(folder), []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("$ "):
            lines += [line, commands.error(line[2:])]
        elif not line or line.startswith("#"):
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        os.chdir(folder)
        text = written_anew(Path(folder))
    print(text)
