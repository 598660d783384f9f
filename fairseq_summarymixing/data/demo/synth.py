"""Make a demo corpus of synthetic speech with transcripts: many voices, few words, the same for the same seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...errors import UserError, counted
from ...files import atomic_folder, atomic_write
from ...json_files import differences, read_json
from ..audio import SAMPLE_RATE, resample, write_flac
from .espeak import Espeak
from .vocabulary import VOCABULARY

VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5", "whisper", "croak")
MANNERS = {"slow": (120, 35), "plain": (145, 50), "brisk": (175, 70)}  # words per minute, pitch
VOICES = tuple((f"{variant}-{manner}", variant, *MANNERS[manner]) for manner in MANNERS for variant in VARIANTS)
WORDS = (2, 6)
SECONDS = (1.5, 6.0)
EDGE_SECONDS = (0.1, 0.4)  # before and after the speech
PEAK_DECIBELS = (-18.0, -3.0)
NOISE_DECIBELS = (-65.0, -50.0)
SETTINGS = "settings.json"
# -I keeps the current folder and what lies in it from being imported; the search path is handed over instead
SPEAK = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {0} import speak; speak(*sys.argv[2:])"


def make_corpus(out: str | Path, minutes: float, seed: int, languages: Sequence[str] = tuple(VOCABULARY)) -> str:
    """Write OUT/audio/VOICE/VOICE-0001.flac (16 kHz) and OUT/transcripts.tsv (path, upper-case text).

    Each voice speaks every language in turn. The corpus appears whole or not at all; a corpus that is there with the
    same settings is kept. The same settings give bit-identical audio wherever espeakng-loader is the same. Returns a
    line to print.

    Raises:
        UserError: an unknown language, minutes not above 0, OUT holds something else, espeakng-loader or
            scipy is not installed, the disk is full.
    """
    out = Path(os.path.abspath(out))
    if not 0 < minutes < float("inf"):
        raise UserError(f"`minutes` must be above 0; got {minutes:g}")
    if not 0 <= seed < 2**32:
        raise UserError(f"`seed` must be from 0 to {2**32 - 1}; got {seed}")
    unknown = [language for language in languages if language not in VOCABULARY]
    if unknown or not languages or len(set(languages)) < len(languages):
        raise UserError(f"`languages` must be some of {','.join(VOCABULARY)}, each once; got {','.join(languages)!r}")
    settings = {"version": 1, "minutes": float(minutes), "seed": seed, "languages": list(languages)}
    if _is_finished(out, settings):
        return f"{out} is there already with these settings; kept"
    with atomic_folder(out) as unfinished:
        _run_in_fresh_process(unfinished, settings)
    recordings = len((out / "transcripts.tsv").read_text(encoding="utf-8").splitlines())
    voices = counted(min(recordings, len(VOICES)), "voice")
    return f"{out}: {counted(recordings, 'recording')}, {minutes:g} minutes, {voices}"


def _is_finished(out: Path, settings: dict) -> bool:
    """Return whether OUT holds this very corpus; raises UserError unless it does, is empty or is absent."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise UserError(f"{out} is a file; expected a folder")
    try:
        found = read_json(out / SETTINGS)
    except UserError:
        found = None
    if found is None:
        if any(out.iterdir()):
            raise UserError(f"{out} is not empty and holds no finished demo corpus; choose another folder")
        return False
    if found != settings:
        raise UserError(
            f"{out} holds a demo corpus with other settings ({differences(found, settings)}); choose another folder or "
            "remove it"
        )
    return True


def _run_in_fresh_process(folder: Path, settings: dict) -> None:
    """Make the audio in a fresh process, which alone gives the same audio again; its mistakes come back as one line on
    its stdout."""
    arguments = [json.dumps(_search_path()), str(folder), json.dumps(settings), str(os.getpid())]
    finished = subprocess.run(
        [sys.executable, "-I", "-c", SPEAK.format(__name__), *arguments],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    if finished.returncode != 0:
        message = finished.stdout.strip() or f"the process that speaks ended with status {finished.returncode}"
        raise UserError(message.splitlines()[-1])


def _search_path() -> list[str]:
    """Return where this process finds modules, without the current folder, unless this package lies there."""
    here, around = os.path.realpath(os.getcwd()), str(Path(__file__).resolve().parents[3])
    places = {str(entry): os.path.realpath(entry) for entry in sys.path if entry}
    kept = [entry for entry, place in places.items() if place != here or place == around]
    return kept if around in places.values() else [around, *kept]


def speak(folder: str, settings: str, parent: str) -> None:
    """Fill a folder, in a process of its own: settings are JSON, ``parent`` the process that waits for it."""
    try:
        _fill(Path(folder), json.loads(settings), int(parent))
    except UserError as mistake:
        print(mistake)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _fill(folder: Path, settings: dict, parent: int) -> None:
    """Speak until the corpus is long enough, voice after voice, then write the settings."""
    espeak = Espeak(settings["seed"])
    # RandomState and not default_rng: numpy promises that its numbers never change.
    random = np.random.RandomState(settings["seed"])
    wanted, frames, count, transcripts = round(settings["minutes"] * 60 * SAMPLE_RATE), 0, 0, []
    with tqdm(total=settings["minutes"], unit="min", disable=None, bar_format="{l_bar}{bar}| {n:.1f} minutes") as bar:
        while frames < wanted:
            turn, number = divmod(count, len(VOICES))
            language = settings["languages"][(turn + number) % len(settings["languages"])]
            name = VOICES[number][0]
            text, samples = _say_sentence(espeak, random, language, VOICES[number])
            path = f"{name}/{name}-{turn + 1:04d}.flac"
            _end_without(parent)
            write_flac(folder / "audio" / path, samples)
            transcripts.append(f"{path}\t{text.upper()}\n")
            frames, count = frames + len(samples), count + 1
            bar.update(len(samples) / SAMPLE_RATE / 60)
    _end_without(parent)
    with atomic_write(folder / "transcripts.tsv") as file:
        file.writelines(sorted(transcripts))
    with atomic_write(folder / SETTINGS) as file:
        json.dump(settings, file, indent=1)


def _end_without(parent: int) -> None:
    """End when the parent was killed: the next run removes the folder, and a write would make it again."""
    if os.getppid() != parent:
        sys.exit(1)


def _say_sentence(espeak: Espeak, random, language: str, voice: tuple) -> tuple[str, np.ndarray]:
    """Return a random sentence as (text, (frames,) at 16 kHz), redrawn until its length is in SECONDS."""
    _, variant, words_per_minute, pitch = voice
    while True:
        words = random.choice(VOCABULARY[language], size=random.randint(WORDS[0], WORDS[1] + 1), replace=False)
        text = " ".join(words)
        speech = resample(espeak.speak(text, language, variant, words_per_minute, pitch), espeak.sample_rate)
        before, after = (int(random.uniform(*EDGE_SECONDS) * SAMPLE_RATE) for _ in range(2))
        frames = before + len(speech) + after
        if len(speech) and SECONDS[0] <= frames / SAMPLE_RATE <= SECONDS[1]:
            break
    peak, noise = (10 ** (random.uniform(*range_) / 20) for range_ in (PEAK_DECIBELS, NOISE_DECIBELS))
    samples = noise * random.randn(frames)
    samples[before : before + len(speech)] += peak * speech / max(np.abs(speech).max(), 1e-3)
    return text, samples
