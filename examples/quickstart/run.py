"""Run the main job on a demo corpus, or on your own audio: pre-train, fine-tune, decode, compare, export.

    python examples/quickstart/run.py [--audio DIR] [--model log_mel] [--out quickstart]

SummaryMixing, its self-attention twin and stock fairseq wav2vec2 are pre-trained on the same data, with
the same seed and updates; each is fine-tuned with CTC, and so is one model from random weights. Every
command is shown, and can be run by hand. Run the same again to go on after an interruption.
"""

import argparse
import fcntl
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from environment import link_packages
from tqdm import tqdm

from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.data.splits import stable_fraction
from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.files import atomic_write

HERE = Path(__file__).resolve().parent
TOOLS = Path(sys.executable).parent
LABELLED_MINUTES = 10.0
SHOWN_LINES_OF_A_FAILURE = 15

RECIPES = {
    "log_mel": "pretraining_log_mel",  # the paper's shape: log-mel front end, conformer layers
    "waveform": "pretraining_waveform",  # wav2vec 2.0's own: convolutions on the waveform, transformer layers
}
MIXERS = {"summarymixing": "summary_mixing", "self_attention": "self_attention"}
STOCK = "wav2vec2"


def pretraining_command(name: str, model: str) -> Tuple[str, List[str]]:
    """Return the command that pre-trains the run ``name``. Stock fairseq offers the waveform shape alone."""
    if name == STOCK:
        return RECIPES["waveform"], ["model._name=wav2vec2"]
    return RECIPES[model], [f"+model.mixer={MIXERS[name]}"]


def show(command: List[str]) -> None:
    short = [Path(command[0]).name, *command[1:]]
    print(f"\n$ {' '.join(shlex.quote(part) for part in short)}", flush=True)


def call(*arguments: str) -> None:
    """Run one verb of the command line."""
    command = [str(TOOLS / "fairseq-summarymixing"), *arguments]
    show(command)
    if subprocess.run(command).returncode:
        raise UserError(f"{arguments[0]} failed; see above")


def prepare_demo(out: Path, minutes: float) -> Path:
    """Synthesise speech of many voices, hold some voices out, and return the folder of manifests."""
    manifests = out / "manifests"
    if not (manifests / "train.tsv").exists():
        call("synth", str(out / "corpus"), "--minutes", f"{minutes:g}", "--languages", "en-us")
        call(
            "manifest", "folder", str(out / "corpus" / "audio"), str(manifests), "--split-by", "speaker",
            "--transcripts", str(out / "corpus" / "transcripts.tsv"), "--valid-percent", "10", "--test-percent", "10",
        )  # fmt: skip
    return manifests


def prepare_audio(audio: Path, out: Path, transcripts: Optional[str]) -> Path:
    """Return the folder's manifests where it has them; otherwise resample its audio and split it by file."""
    if (audio / "train.tsv").exists():
        return audio
    manifests = out / "manifests"
    if not (manifests / "train.tsv").exists():
        labels = ["--transcripts", transcripts] if transcripts else []
        call(
            "manifest", "folder", str(audio), str(manifests), "--resample", "16000",
            "--valid-percent", "10", "--test-percent", "10", *labels,
        )  # fmt: skip
    return manifests


def choose_labelled(manifests: Path, out: Path) -> Path:
    """Make a folder with the manifests and ``labelled``, a small stable part of ``train`` of about 10 minutes."""
    data = out / "data"
    root, rows = read_manifest(manifests / "train.tsv")
    files = {"train.tsv": (manifests / "train.tsv").read_text(encoding="utf-8").splitlines()}
    for path in sorted(manifests.glob("*")):
        if path.suffix in (".tsv", ".ltr", ".wrd", ".txt") and path.name != "report.tsv":
            files[path.name] = path.read_text(encoding="utf-8").splitlines()
    if "train.ltr" in files:
        minutes = sum(frames for _, frames in rows) / 16000 / 60
        chosen = [stable_fraction(path) < LABELLED_MINUTES / minutes for path, _ in rows]
        files["labelled.tsv"] = [root] + [f"{path}\t{frames}" for (path, frames), keep in zip(rows, chosen) if keep]
        for kind in ("ltr", "wrd"):
            files[f"labelled.{kind}"] = [line for line, keep in zip(files[f"train.{kind}"], chosen) if keep]
    for name, lines in files.items():
        with atomic_write(data / name) as file:
            file.writelines(f"{line}\n" for line in lines)
    return data


def train(recipe: str, run: Path, settings: List[str]) -> None:
    """Train into the folder ``run``; a complete run is left alone, a partial run goes on."""
    command = [
        str(TOOLS / "fairseq-hydra-train"), "--config-dir", str(HERE), "--config-name", recipe, *settings,
        f"checkpoint.save_dir={run / 'checkpoints'}",
    ]  # fmt: skip
    done, line = run / "done", " ".join(map(shlex.quote, command[1:]))
    started = run / "command.txt"
    if started.exists() and started.read_text() != line:
        raise UserError(f"{run} holds a run with other settings: delete it, or give another --out")
    show(command)
    if done.exists():
        print(f"{run} is complete")
        return
    run.mkdir(parents=True, exist_ok=True)
    started.write_text(line)
    _follow(command, run)
    done.touch()


def _follow(command: List[str], run: Path) -> None:
    """Run the trainer with a progress bar; its whole output goes to ``output.log``.

    The trainer inherits a lock on the log, so that a trainer that outlived a killed driver is not joined by a second.
    """
    with open(run / "output.log", "a", encoding="utf-8") as log, tqdm(unit="update", desc=run.name) as bar:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another training still runs in {run}: wait for it, or stop it") from error
        # Half the cores compute, the others load audio; on two cores a second thread gains these sizes nothing
        environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) // 2)), **os.environ}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
            pass_fds=[log.fileno()],
        )  # fmt: skip
        lines: List[str] = []
        try:
            for text in process.stdout:
                log.write(text)
                lines.append(text)
                _advance(bar, text)
        finally:
            if process.poll() is None:
                process.terminate()
            status = process.wait()
    if status:
        shown = [text for text in lines if text.startswith("error: ")] or lines[-SHOWN_LINES_OF_A_FAILURE:]
        raise UserError(f"training stopped, its output is in {run / 'output.log'}; it ends:\n{''.join(shown)}")


def _advance(bar: tqdm, text: str) -> None:
    total = re.search(r"'max_update': (\d+)", text)
    if total and not bar.total:  # fine-tuning also logs the configuration of the model that it starts from
        bar.total = int(total[1])
        bar.refresh()
    found = re.search(r"\[(train_inner|valid)\]\[INFO\] - (\{.*\})", text)
    if not found:
        return
    figures = json.loads(found[2])
    shown = {key: figures[key] for key in ("loss", "accuracy", "valid_accuracy", "valid_uer") if key in figures}
    bar.set_postfix(shown, refresh=False)
    bar.n = int(figures.get("num_updates", figures.get("valid_num_updates", bar.n)))
    bar.refresh()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, help="your own: a folder of audio files, or of manifests (train.tsv)")
    parser.add_argument("--transcripts", help="for --audio: a table 'file<TAB>text', or the word sidecar")
    parser.add_argument("--model", choices=RECIPES, default="log_mel", help="shape of SummaryMixing and its twin")
    parser.add_argument("--out", type=Path, default=Path("quickstart"))
    parser.add_argument("--minutes", type=float, default=60, help="length of the demo corpus (default 60)")
    parser.add_argument("--updates", type=int, default=500, help="pre-training updates (default 500)")
    parser.add_argument("--finetuning-updates", type=int, default=700, help="default 700")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    begun = time.time()
    out = args.out.resolve()
    if args.audio is None:
        manifests = prepare_demo(out, args.minutes)
    else:
        manifests = prepare_audio(args.audio.resolve(), out, args.transcripts)
    data = choose_labelled(manifests, out)
    runs = _pretrain(out, data, args)
    if (data / "labelled.ltr").exists() and (data / "test.ltr").exists():
        runs += _finetune(out, data, args)
    else:
        print("\nno transcripts, so no fine-tuning; --transcripts gives them")
    call("compare", *map(str, runs), "--out", str(out / "comparison"))
    if (out / "finetuning").exists():
        _export(out, data)
    print(f"\n{(time.time() - begun) / 60:.1f} minutes. Open {out / 'comparison' / 'compare.html'}")


def _pretrain(out: Path, data: Path, args: argparse.Namespace) -> List[Path]:
    runs = []
    for name in [*MIXERS, STOCK]:
        run = out / "pretraining" / name
        recipe, model = pretraining_command(name, args.model)
        common = [f"task.data={data}", f"optimization.max_update={args.updates}", f"common.seed={args.seed}"]
        train(recipe, run, [*model, *common])
        runs.append(run)
    return runs


def _finetune(out: Path, data: Path, args: argparse.Namespace) -> List[Path]:
    pretrained: Dict[str, str] = {name: name for name in [*MIXERS, STOCK]}
    pretrained["random_weights"] = "summarymixing"
    runs = []
    for name, source in pretrained.items():
        run = out / "finetuning" / name
        checkpoint = out / "pretraining" / source / "checkpoints" / "checkpoint_last.pt"
        settings = [
            f"task.data={data}", f"model.w2v_path={checkpoint}", f"common.seed={args.seed}",
            f"optimization.max_update={args.finetuning_updates}",
            f"model.no_pretrained_weights={str(name == 'random_weights').lower()}",
        ]  # fmt: skip
        train("finetuning", run, settings)
        call("decode", str(run / "checkpoints" / "checkpoint_best.pt"), "--data", str(data), "--split", "test")
        runs.append(run)
    return runs


def _export(out: Path, data: Path) -> None:
    """Export the model with the fewest word errors to Hugging Face, and transcribe a test utterance with it."""
    results = {path: json.loads(path.read_text()) for path in out.glob("finetuning/*/checkpoints/decode/*/result.json")}
    best = min(results, key=lambda path: results[path]["wer"])
    checkpoint, spoken = results[best]["checkpoint"], (best.parent / "references.wrd").read_text(encoding="utf-8")
    name = Path(checkpoint).parent.parent.name
    folder = out / "huggingface" / name
    if not (folder / "config.json").exists():
        call("export", "hf", checkpoint, str(folder))
    root, rows = read_manifest(data / "test.tsv")
    print(
        f"\nthe model {name} in an environment with torch and transformers alone\nreference:  {spoken.splitlines()[0]}",
        flush=True,
    )
    python = link_packages(out / "huggingface" / "site-packages", ["torch", "transformers", "soundfile"])
    command = [*python, str(HERE / "transcribe.py"), str(folder), os.path.join(root, rows[0][0])]
    if subprocess.run(command, env={**os.environ, "HF_HUB_OFFLINE": "1"}).returncode:
        raise UserError("transformers could not use the exported model; see above")


if __name__ == "__main__":
    sys.exit(exit_status(main))
