"""What a run depends on beside its settings: the files of the benchmark, and SpeechBrain's environment."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Collection
from pathlib import Path

from ... import __version__
from ...errors import UserError
from .recipes import RECIPES, RUNNER

PUBLISHED_COMMIT = "3560542"
PUBLISHED_DIGEST = "ed03e2d614011924"  # of the scripts and settings at that commit of speechbrain/benchmarks
HYPERPARAMETERS = "hparams/ssl.yaml"
# What SpeechBrain's Python prints as JSON
VERSIONS = """
import importlib, importlib.metadata, json, platform
versions = {"python": platform.python_version()}
for name in ("torch", "torchaudio", "transformers", "speechbrain"):
    versions[name] = importlib.metadata.version(name)
import fairseq_summarymixing
versions["fairseq_summarymixing"] = fairseq_summarymixing.__version__
from fairseq_summarymixing.integrations.torchaudio_shim import install
install()
for name in %r:
    importlib.import_module(name)
print(json.dumps(versions))
"""


def find_benchmark(checkout: str | Path) -> Path:
    """Return the folder of MP3S in a checkout of speechbrain/benchmarks, or that folder itself.

    Raises:
        UserError: a recipe is not there.
    """
    checkout = Path(checkout).absolute()
    for folder in (checkout / "benchmarks" / "MP3S", checkout):
        if (folder / "LibriSpeech").is_dir():
            for recipe in RECIPES.values():
                if not (folder / recipe.folder / HYPERPARAMETERS).is_file():
                    raise UserError(f"{folder} holds no {recipe.folder}/{HYPERPARAMETERS}: check it out again")
            return folder
    raise UserError(
        f"{checkout} holds no benchmarks/MP3S: git clone https://github.com/speechbrain/benchmarks, without submodules"
    )


def benchmark_digest(folder: Path) -> str:
    """Return a digest of the scripts and settings of all recipes."""
    digest = hashlib.sha256()
    for recipe in dict.fromkeys(recipe.folder for recipe in RECIPES.values()):
        for path in [*sorted((folder / recipe).glob("*.py")), folder / recipe / HYPERPARAMETERS]:
            digest.update(f"{recipe}/{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def read_versions(python: str, packages: Collection[str]) -> dict[str, str]:
    """Return the versions in SpeechBrain's environment, and check that the packages can be imported there.

    Raises:
        UserError: it cannot be run, lacks a package, or has another version of this one.
    """
    names = ["speechbrain", "transformers", *sorted(packages)]
    try:
        result = subprocess.run([python, "-c", VERSIONS % names], capture_output=True, text=True, cwd="/")
    except OSError as error:
        raise UserError(f"`python` {python} cannot be run: {error.strerror}") from error
    if result.returncode:
        reason = re.sub(r"^[\w.]+Error: ", "", (result.stderr.strip().splitlines() or ["no message"])[-1])
        raise UserError(
            f"`python` {python} needs {', '.join(names)} and, without its dependencies, this package "
            f"(pip install --no-deps .): {reason}"
        )
    versions = json.loads(result.stdout.strip().splitlines()[-1])
    if versions["fairseq_summarymixing"] != __version__:
        raise UserError(
            f"`python` {python} has fairseq_summarymixing {versions['fairseq_summarymixing']}, not {__version__}: "
            "install this one there, with pip install --no-deps ."
        )
    return versions


def runner(python: str, normalise: bool) -> list[str]:
    """Return the command that runs a recipe's script."""
    return [python, "-m", RUNNER, "--use-lengths", "--frozen", *["--normalise"] * normalise]
