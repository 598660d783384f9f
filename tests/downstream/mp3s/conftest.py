"""Corpora of MP3S's layouts as far as their lists and file names go, and a Python that plays SpeechBrain's part."""

import io
import json
import sys
import zipfile

import numpy as np
import pytest
import soundfile

from fairseq_summarymixing import __version__
from fairseq_summarymixing.downstream.mp3s.recipes import RECIPES

# Says which versions it has; run as a recipe, does what FAKE tells of the task, in the recipe's own places
FAKE_PYTHON = """#!{executable}
import json, os, pathlib, sys, time
if sys.argv[1] == "-c":
    names = ("python", "torch", "torchaudio", "transformers", "speechbrain")
    print(json.dumps({{**dict.fromkeys(names, "1.0"), "fairseq_summarymixing": {version!r}}}))
    sys.exit()
options = dict(one[2:].split("=", 1) for one in sys.argv if one.startswith("--") and "=" in one)
out, task = pathlib.Path(options["output_folder"]), pathlib.Path.cwd().parent.name
with open({ledger!r}, "a") as file:
    file.write(json.dumps({{"task": task, "cwd": os.getcwd(), "argv": sys.argv[1:]}}) + "\\n")
behaviour = json.loads(pathlib.Path({behaviour!r}).read_text()).get(task, "")
log = open(out / "train_log.txt", "a")
print("epoch: 1 - valid loss: 1.0", file=log, flush=True)
if behaviour == "sleep":
    (out / "pid").write_text(str(os.getpid()))
    time.sleep(60)
if behaviour == "crash":
    sys.exit("RuntimeError: out of memory")
if behaviour == "silent":
    print("Error: Number of utterances is not 5531")
    sys.exit()
rate = int(options.get("test_spk_id", 5)) / 100 + int(options["seed"]) / 1000
for name in ("test-clean", "test-other", "test"):
    (out / f"wer_{{name}}.txt").write_text(f"%WER {{100 * rate:.2f}} [ 1 / 9, 0 ins, 0 del, 1 sub ]\\n")
(out / "log.txt").write_text(f"x - root - INFO - EER(%)={{100 * rate}}\\n")
print(f"Epoch loaded: 1 - test loss: 1.0, test error_rate: {{rate:.2e}}", file=log)
pathlib.Path(sys.argv[sys.argv.index("--layer-weights") + 1]).write_text("[0.5, 0.3, 0.2]")
"""


class Stage:
    """A checkout, corpora, two encoders and a Python, all pretended."""

    def __init__(self, folder):
        self.folder, self.out = folder, folder / "out"
        self.benchmarks, self.ledger, self.behaviour = folder / "checkout", folder / "ledger", folder / "behaviour.json"
        for recipe in RECIPES.values():
            where = self.benchmarks / "benchmarks" / "MP3S" / recipe.folder
            (where / "hparams").mkdir(parents=True, exist_ok=True)
            (where / "train.py").touch()
            (where / "hparams" / "ssl.yaml").touch()
        self.encoders = [self._encoder("ours", 768, 12), self._encoder("twin", 1024, 24)]
        self.python = folder / "python"
        names = {"ledger": str(self.ledger), "behaviour": str(self.behaviour)}
        self.python.write_text(FAKE_PYTHON.format(executable=sys.executable, version=__version__, **names))
        self.python.chmod(0o755)
        self.behave()

    def _encoder(self, name, dim, layers):
        folder = self.folder / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"hidden_size": dim, "num_hidden_layers": layers}))
        (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": name == "twin"}))
        return folder

    def behave(self, **of_tasks):
        self.behaviour.write_text(json.dumps(of_tasks))

    def started(self):
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def librispeech(root):
    for split in ("train-clean-100", "dev-clean", "test-clean", "test-other"):
        touch(root / split / "1" / "2" / "1-2.trans.txt", "1-2-0000 A B\n1-2-0001 C\n")
        for number in range(2):
            touch(root / split / "1" / "2" / f"1-2-{number:04d}.flac")


def common_voice(root, columns="client_id\tpath\tsentence\tup_votes"):
    for name in ("train", "dev", "test"):
        touch(root / f"{name}.tsv", f"{columns}\nspeaker\t{name}.mp3\tUn dau tri.\t2\n")
        touch(root / "clips" / f"{name}.mp3")


def slurp(root):
    for name in ("train", "devel", "test", "train_synthetic"):
        touch(root / f"{name}.jsonl", json.dumps({"recordings": [{"file": f"{name}.flac"}]}) + "\n")
        touch(root / ("slurp_synth" if "synthetic" in name else "slurp_real") / f"{name}.flac")


def voxceleb1(root):
    for speaker in ("id10001", "id10270", "id10271"):
        touch(root / "wav" / speaker / "video" / "00001.wav")
    touch(root / "veri_test2.txt", "0 id10270/video/00001.wav id10271/video/00001.wav\n")


def iemocap(root, utterances=50):
    for session in range(1, 6):
        dialog = f"Ses{session:02d}F_impro01"
        numbers = range(utterances // 5)
        turns = [f"{dialog}_M{number:03d}" for number in numbers]
        lines = [f"[1.0000 - 2.0000]\t{turn}\tneu\t[2.5000, 2.5000, 2.5000]\n" for turn in turns]
        touch(root / f"Session{session}/dialog/EmoEvaluation/{dialog}.txt", "% header\n\n" + "".join(lines))
        for turn in turns:
            touch(root / f"Session{session}/sentences/wav/{dialog}/{turn}.wav")


WORDS = "signal x\n#\n 0.5 122 {B_TRANS}; x\n 1.5 122 i; x\n 2.5 122 don't; x\n 3.5 122 know-it; x\n 4.0 122 <SIL>; x\n"


def buckeye(root):
    root.mkdir(parents=True)
    wav = io.BytesIO()
    soundfile.write(wav, (9000 * np.sin(np.arange(64000) / 7)).astype("int16"), 16000, format="WAV", subtype="PCM_16")
    for speaker in ("s01", "s36", "s37", "s38", "s40"):
        with zipfile.ZipFile(root / f"{speaker}.zip", "w") as archive:
            archive.writestr(f"{speaker}01a.wav", wav.getvalue())
            archive.writestr(f"{speaker}01a.words", WORDS)


MAKERS = {
    "librispeech": librispeech,
    "commonvoice_cy": common_voice,
    "commonvoice_eu": common_voice,
    "slurp": slurp,
    "voxceleb1": voxceleb1,
    "iemocap": iemocap,
    "buckeye": buckeye,
}


@pytest.fixture
def corpora(tmp_path, monkeypatch):
    """``corpora(*names)``: corpora.yaml of miniatures, all without names. IEMOCAP's 50 utterances count as all."""
    monkeypatch.setattr("fairseq_summarymixing.downstream.mp3s.corpora.IEMOCAP", 50)

    def make(*names):
        names = names or list(MAKERS)
        for name in names:
            MAKERS[name](tmp_path / "corpora" / name)
        touch(tmp_path / "corpora.yaml", "".join(f"{name}: corpora/{name}\n" for name in names))
        return tmp_path / "corpora.yaml"

    return make
