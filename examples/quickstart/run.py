"""The main job on a demo corpus, or on your own audio: pre-train, fine-tune, decode, compare, export.

    python examples/quickstart/run.py [--audio DIR] [--model log_mel] [--out quickstart]

SummaryMixing, its self-attention twin and stock fairseq wav2vec2 are pre-trained on the same data, with the same seed
and updates; each is fine-tuned with CTC, and so is one model from random weights. As many trainings run at a time as
there are cores. Every command is shown, and can be run by hand. Run the same again to go on after an interruption.
"""

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from environment import link_packages
from seeds import COLUMNS, cell

from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.data.splits import stable_fraction
from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.files import atomic_write
from fairseq_summarymixing.jobs import Jobs, count_cores, show, show_text
from fairseq_summarymixing.tables import aligned
from fairseq_summarymixing.text_files import read_lines

HERE = Path(__file__).resolve().parent
TOOLS = Path(sys.executable).parent
LABELLED_MINUTES = 10.0
HELD_OUT = ("--valid-percent", "10", "--test-percent", "10")

RECIPES = {
    "log_mel": "pretraining_log_mel",  # the paper's shape: log-mel front end, conformer layers
    "waveform": "pretraining_waveform",  # wav2vec 2.0's own: convolutions on the waveform, transformer layers
}
MIXERS = {"summarymixing": "summary_mixing", "self_attention": "self_attention"}
STOCK = "wav2vec2"
RANDOM = "random_weights"  # in the configuration of the pre-trained SummaryMixing model


def pretraining_command(name: str, model: str) -> Tuple[str, List[str]]:
    """Return the recipe and its overrides for a run called ``name``. Stock fairseq offers the waveform shape alone."""
    if name == STOCK:
        return RECIPES["waveform"], ["model._name=wav2vec2"]
    return RECIPES[model], [f"+model.mixer={MIXERS[name]}"]


def verb(*arguments: str) -> List[str]:
    return [str(TOOLS / "fairseq-summarymixing"), *arguments]


def call(*arguments: str) -> None:
    """Run one verb of the command line, alone."""
    command = verb(*arguments)
    show(command)
    if subprocess.run(command).returncode:
        raise UserError(f"{arguments[0]} failed; see above")


def source_of(args: argparse.Namespace) -> str:
    """Describe the corpus that the options name; other manifests or transcripts in the same files are another one."""
    if args.audio is None:
        return f"{args.minutes:g} minutes of synthetic speech"
    audio = args.audio.resolve()
    if (audio / "train.tsv").exists():
        return f"{audio} with manifests of {digest(manifest_files(audio))}"
    if args.transcripts is None:
        return f"{audio} with no transcripts"
    table = Path(args.transcripts)
    return f"{audio} with transcripts of {digest([table]) if table.is_file() else table}"


def digest(paths: Sequence[Path]) -> str:
    content = hashlib.sha256()
    for path in paths:
        content.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
    return f"SHA-256 {content.hexdigest()[:16]}"


def claim(out: Path, source: str) -> None:
    """Note in OUT/source.txt what it is made of.

    Raises:
        UserError: it was made of another corpus, whose results would be shown as those of this one.
    """
    path = out / "source.txt"
    if any((out / folder / "train.tsv").exists() for folder in ("manifests", "data")):
        before = read_lines(path)[:1] if path.exists() else ["an unknown corpus"]
        if before != [source]:
            raise UserError(f"{out} was made of {''.join(before)}, not of {source}: name another folder with --out")
    with atomic_write(path) as file:
        file.write(f"{source}\n")


def prepare_demo(out: Path, minutes: float) -> Path:
    """Make synthetic speech of many voices, some held out. Returns the folder of manifests."""
    manifests = out / "manifests"
    if not (manifests / "train.tsv").exists():
        call("synth", str(out / "corpus"), "--minutes", f"{minutes:g}", "--languages", "en-us")
        labels = ["--transcripts", str(out / "corpus" / "transcripts.tsv"), "--split-by", "speaker"]
        call("manifest", "folder", str(out / "corpus" / "audio"), str(manifests), *labels, *HELD_OUT)
    return manifests


def prepare_audio(audio: Path, out: Path, transcripts: Optional[str]) -> Path:
    """Resample a folder and split it by file, or use the manifests that are there. Returns the folder of manifests."""
    if (audio / "train.tsv").exists():
        return audio
    manifests = out / "manifests"
    if not (manifests / "train.tsv").exists():
        labels = ["--transcripts", transcripts] if transcripts else []
        call("manifest", "folder", str(audio), str(manifests), "--resample", "16000", *labels, *HELD_OUT)
    return manifests


def manifest_files(folder: Path) -> List[Path]:
    """Return the manifests of a folder, their labels and dictionaries."""
    kinds = (".tsv", ".ltr", ".wrd", ".txt")
    return [path for path in sorted(folder.glob("*")) if path.suffix in kinds and path.name != "report.tsv"]


def choose_labelled(manifests: Path, out: Path) -> Path:
    """Make a folder with the manifests, and ``labelled``: a small stable part of ``train``, of about 10 minutes."""
    data = out / "data"
    root, rows = read_manifest(manifests / "train.tsv")
    files = {path.name: read_lines(path) for path in manifest_files(manifests)}
    if "train.ltr" in files:
        minutes = sum(frames for _, frames in rows) / 16000 / 60
        chosen = [stable_fraction(path) < LABELLED_MINUTES / minutes for path, _ in rows]
        files["labelled.tsv"] = [root] + [f"{path}\t{frames}" for (path, frames), keep in zip(rows, chosen) if keep]
        for kind in [kind for kind in ("ltr", "wrd") if f"train.{kind}" in files]:
            files[f"labelled.{kind}"] = [line for line, keep in zip(files[f"train.{kind}"], chosen) if keep]
    for name, lines in files.items():
        with atomic_write(data / name) as file:
            file.writelines(f"{line}\n" for line in lines)
    return data


class Quickstart:
    """The runs that follow once there is data, and what each waits for."""

    def __init__(self, out: Path, data: Path, args: argparse.Namespace) -> None:
        self.out, self.data, self.args = out, data, args

    async def run(self) -> None:
        """Start all that can be started, and first the pair that the first result is of."""
        self.jobs = Jobs(min(len([*MIXERS, STOCK, RANDOM]), count_cores()))
        pretraining = {name: asyncio.ensure_future(self.pretrain(name)) for name in [*MIXERS, STOCK]}
        steps = [*pretraining.values(), self.first_result([pretraining[name] for name in MIXERS])]
        runs = [self.out / "pretraining" / name for name in pretraining]
        has_transcripts = (self.data / "labelled.ltr").exists() and (self.data / "test.ltr").exists()
        if has_transcripts:
            for name, source in {**{name: name for name in pretraining}, RANDOM: "summarymixing"}.items():
                steps.append(self.finetune(name, source, pretraining[source]))
                runs.append(self.out / "finetuning" / name)
        else:
            show_text("\nno transcripts, so no fine-tuning; --transcripts gives them")
        await asyncio.gather(*steps)
        export = [self.export_best()] if has_transcripts else []
        await asyncio.gather(self.compare(runs), *export)

    async def pretrain(self, name: str) -> None:
        recipe, model = pretraining_command(name, self.args.model)
        settings = [*model, f"task.data={self.data}", f"optimization.max_update={self.args.updates}"]
        async with self.jobs.turn():
            await self.train(recipe, self.out / "pretraining" / name, [*settings, f"common.seed={self.args.seed}"])

    async def first_result(self, pair: List[asyncio.Future]) -> None:
        """Make the page and print a table of SummaryMixing and its twin, while the others train."""
        await asyncio.gather(*pair)
        await self.compare([self.out / "pretraining" / name for name in MIXERS])
        show_text(
            f"\nFirst result, {minutes_since(self.args.begun)} after the start:\n\n{table(self.out, 'pre-training')}"
        )

    async def finetune(self, name: str, source: str, pretrained: asyncio.Future) -> None:
        """Fine-tune the model of the pre-training ``source`` when that is done, and decode."""
        run = self.out / "finetuning" / name
        checkpoint = self.out / "pretraining" / source / "checkpoints" / "checkpoint_last.pt"
        settings = [
            f"task.data={self.data}",
            f"model.w2v_path={checkpoint}",
            f"common.seed={self.args.seed}",
            f"optimization.max_update={self.args.finetuning_updates}",
            f"model.no_pretrained_weights={str(name == RANDOM).lower()}",
        ]
        await pretrained
        async with self.jobs.turn():
            await self.train("finetuning", run, settings)
            checkpoints = run / "checkpoints"
            if not (checkpoints / "decode" / "checkpoint_best-test" / "result.json").exists():
                best = str(checkpoints / "checkpoint_best.pt")
                await self.call("decode", best, "--data", str(self.data), "--split", "test")

    async def train(self, recipe: str, run: Path, settings: List[str]) -> None:
        """Train into ``run`` by a recipe."""
        command = [str(TOOLS / "fairseq-hydra-train"), "--config-dir", str(HERE), "--config-name", recipe]
        await self.jobs.train([*command, *settings, f"checkpoint.save_dir={run / 'checkpoints'}"], run)

    async def compare(self, runs: List[Path]) -> None:
        await self.call("compare", *map(str, runs), "--out", str(self.out / "comparison"))

    async def export_best(self) -> None:
        """Export the fine-tuned model with the fewest word errors, and transcribe an utterance with it."""
        paths = self.out.glob("finetuning/*/checkpoints/decode/*/result.json")
        results = {path: json.loads(path.read_text()) for path in paths}
        best = min(results, key=lambda path: results[path]["wer"])
        checkpoint, spoken = results[best]["checkpoint"], (best.parent / "references.wrd").read_text(encoding="utf-8")
        name = Path(checkpoint).parent.parent.name
        folder = self.out / "huggingface" / name
        if not (folder / "config.json").exists():
            await self.call("export", "hf", checkpoint, str(folder))
        root, rows = read_manifest(self.data / "test.tsv")
        python = link_packages(self.out / "huggingface" / "site-packages", ["torch", "transformers", "soundfile"])
        command = [*python, str(HERE / "transcribe.py"), str(folder), os.path.join(root, rows[0][0])]
        transcript = await self.jobs.output(command, HF_HUB_OFFLINE="1")
        show_text(
            f"\nthe model {name} in an environment with torch and transformers alone\n"
            f"reference:  {spoken.splitlines()[0]}\n{transcript}"
        )

    async def call(self, *arguments: str) -> None:
        """Run one verb beside the trainings; what it prints appears when it ends."""
        show(verb(*arguments))
        show_text(await self.jobs.output(verb(*arguments)))


def table(out: Path, kind: str) -> str:
    """Lay out the figures of the runs of a kind, which are on the page, for a terminal."""
    runs = [run for run in json.loads((out / "comparison" / "compare.json").read_text()) if run["kind"] == kind]
    columns = [column for column in COLUMNS if any(column[1](run) is not None for run in runs)]
    rows = [[run["name"], *(cell([value(run)], decimals) for _, value, decimals in columns)] for run in runs]
    return aligned([kind, *(heading for heading, _, _ in columns)], rows)


def minutes_since(begun: float) -> str:
    return f"{(time.time() - begun) / 60:.1f} minutes"


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
    args.begun = time.time()
    out = args.out.resolve()
    claim(out, source_of(args))
    if args.audio is None:
        manifests = prepare_demo(out, args.minutes)
    else:
        manifests = prepare_audio(args.audio.resolve(), out, args.transcripts)
    asyncio.run(Quickstart(out, choose_labelled(manifests, out), args).run())
    print(f"\n{table(out, 'pre-training')}")
    if (out / "finetuning").exists():
        print(f"\n{table(out, 'fine-tuning')}")
    print(f"\n{minutes_since(args.begun)}. Open {out / 'comparison' / 'compare.html'}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
