"""Make miniatures of MP3S's corpora, in the published layouts, of synthetic speech: to try every recipe out.

    python examples/mp3s/make_miniatures.py OUT          # needs the demo extra, and libsndfile 1.1 or newer for MP3

OUT/{librispeech,cv-corpus-11.0-2022-09-21/cy and eu,slurp,voxceleb1,iemocap,buckeye}, and OUT/corpora.yaml for
``fairseq-summarymixing mp3s``. IEMOCAP has its 5,531 utterances, which the recipe insists on, as links to 40 files.
"""

import argparse
import json
import os
import random
import shutil
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from fairseq_summarymixing.data.demo.synth import make_corpus
from fairseq_summarymixing.errors import exit_status

RATE = 16000
LANGUAGES = {"en": ("en-us", 5), "cy": ("cy", 3), "eu": ("eu", 3)}  # eSpeak's voice, minutes
SCENARIOS = (
    "alarm audio calendar cooking datetime email general iot lists music news play qa recommendation social takeaway "
    "transport weather"
).split()
# Recipes that spell know the letters that they trained on, and fail when they decode another
ALL_LETTERS = "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG'S BED"
EMOTIONS = {"neu": 1708, "hap": 595, "exc": 1041, "sad": 1084, "ang": 1103}  # "hap" takes in "exc"
KINDS = ("impro01", "impro02", "script01_1", "script02_2")
SESSIONS = (1085, 1023, 1151, 1031, 1241)  # utterances of these in each


def speech(folder: Path, language: str) -> list:
    """Return [[(samples, text), ...] for each speaker] of synthetic speech."""
    voice, minutes = LANGUAGES[language]
    make_corpus(folder / language, minutes, 1, [voice])
    speakers = defaultdict(list)
    for line in (folder / language / "transcripts.tsv").read_text(encoding="utf-8").splitlines():
        path, text = line.split("\t")
        samples, _ = soundfile.read(folder / language / "audio" / path, dtype="float32")
        speakers[path.split("/")[0]].append((samples, text))
    return [speakers[name] for name in sorted(speakers)]


def write(path: Path, samples, rate: int = RATE, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)


def librispeech(speakers: list, out: Path) -> None:
    number = 100
    for split, count in {"train-clean-100": 4, "dev-clean": 1, "test-clean": 1, "test-other": 1}.items():
        for utterances in speakers[number - 100 : number - 100 + count]:
            chapter, lines = out / split / str(number) / "1000", []
            for index, (samples, text) in enumerate(utterances[:3]):
                name = f"{number}-1000-{index:04d}"
                write(chapter / f"{name}.flac", samples)
                lines.append(f"{name} {text if number > 100 else ALL_LETTERS}\n")
            (chapter / f"{number}-1000.trans.txt").write_text("".join(lines))
            number += 1


def common_voice(speakers: list, out: Path, language: str) -> None:
    columns = "client_id path sentence up_votes down_votes age gender accents locale segment".split()
    number = 17000000
    for split, of_split in (("train", speakers[:14]), ("dev", speakers[14:16]), ("test", speakers[16:18])):
        rows = ["\t".join(columns)]
        for speaker, utterances in enumerate(of_split):
            for samples, text in utterances:
                if len(text.split()) < 3:
                    continue
                number += 1
                clip = f"common_voice_{language}_{number}.mp3"
                write(out / "clips" / clip, resample_poly(samples, 3, 1).astype("float32"), 3 * RATE, format="MP3")
                rows.append(
                    "\t".join([f"{split}{speaker}", clip, f"{text.lower()}.", "2", "0", *[""] * 3, language, ""])
                )
        (out / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def slurp(speakers: list, out: Path) -> None:
    utterances, number = [one for speaker in speakers for one in speaker], 0
    for split, count in {"train": 18, "train_synthetic": 4, "devel": 6, "test": 6}.items():
        entries = []
        for index in range(count):
            samples, text = utterances[number % len(utterances)]
            number += 1
            recording = f"audio-{1490000000 + number}.flac"
            write(out / ("slurp_synth" if "synthetic" in split else "slurp_real") / recording, samples)
            words, scenario = text.lower().split(), SCENARIOS[index % len(SCENARIOS)]
            annotation = " ".join([f"[thing : {words[0]}]", *words[1:]])
            entries.append(
                {"sentence": text.lower(), "scenario": scenario, "action": "query", "sentence_annotation": annotation}
            )
            entries[-1]["recordings"] = [{"file": recording}]
        (out / f"{split}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def voxceleb1(speakers: list, out: Path) -> None:
    """Recordings of 4 s and more; two of eight speakers are in the trials. The tenth of the others' that the recipe
    validates on is a whole batch."""
    tested = []
    for index, utterances in enumerate(speakers[:8]):
        identity = f"id{10270 + index - 6 if index >= 6 else 10001 + index}"
        samples = np.tile(np.concatenate([samples for samples, _ in utterances]), 8)
        for video in ("1zcIwhmdeo4", "7gWzIy6yIIk"):
            for number in range(1, 9):
                path = f"{identity}/{video}/{number:05d}.wav"
                seconds = 4.2 + 0.1 * number + 0.1 * index
                write(out / "wav" / path, samples[8000 * number :][: int(seconds * RATE)], subtype="PCM_16")
                tested += [(identity, path)] * (index >= 6)
    trials = [
        f"{int(first == second)} {path} {other}\n"
        for index, (first, path) in enumerate(tested)
        for second, other in tested[index + 1 :]
    ]
    (out / "veri_test2.txt").write_text("".join(trials))


def iemocap(speakers: list, out: Path) -> None:
    files = []
    for utterances in speakers[:20]:
        for samples, _ in utterances[:2]:
            files.append(out / "pool" / f"{len(files)}.wav")
            write(files[-1], samples[: int((0.9 + 0.05 * len(files) % 1.1) * RATE)], subtype="PCM_16")
    emotions = [emotion for emotion, count in EMOTIONS.items() for _ in range(count)]
    random.Random(1).shuffle(emotions)
    lines = defaultdict(list)
    for session, count in enumerate(SESSIONS, start=1):
        for index in range(count):
            dialog, gender = f"Ses{session:02d}{'FM'[index % 2]}_{KINDS[index // 2 % len(KINDS)]}", "FM"[index // 8 % 2]
            turn, emotion = f"{dialog}_{gender}{index // 8:03d}", emotions.pop()
            begin = f"{index + 6.0:.4f} - {index + 7.5:.4f}"
            lines[dialog].append(f"[{begin}]\t{turn}\t{emotion}\t[2.5000, 2.5000, 2.5000]\n")
            target = out / f"Session{session}" / "sentences" / "wav" / dialog / f"{turn}.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(files[index % len(files)], target)
    for dialog, turns in lines.items():
        folder = out / f"Session{dialog[4]}" / "dialog" / "EmoEvaluation"
        folder.mkdir(parents=True, exist_ok=True)
        others = "C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
        header = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        (folder / f"{dialog}.txt").write_text(header + "".join(turn + others for turn in turns))


def buckeye(speakers: list, out: Path) -> None:
    """sNN.zip with sNN/sNNKKa.zip in it, with sNNKKa.wav and sNNKKa.words, as it is downloaded."""
    out.mkdir(parents=True)
    for number, utterances in zip((1, 2, 3, 4, 36, 37, 38, 39, 40), speakers[10:]):
        speaker = f"s{number:02d}"
        with zipfile.ZipFile(out / f"{speaker}.zip", "w") as archive:
            for part in ("01",) if number > 4 else ("01", "02"):
                name, work = f"{speaker}{part}a", out / "work"
                conversation(work, name, utterances[:4] if part == "01" else utterances[1:5], number == 1)
                with zipfile.ZipFile(work / f"{name}.zip", "w") as inner:
                    for kind in ("wav", "words"):
                        inner.write(work / f"{name}.{kind}", f"{name}.{kind}")
                archive.write(work / f"{name}.zip", f"{speaker}/{name}.zip")
    shutil.rmtree(out / "work")


def conversation(folder: Path, name: str, utterances: list, all_letters: bool) -> None:
    """Write utterances with pauses between as NAME.wav, and NAME.words: the END of each word, a colour, the word."""
    pause = np.zeros(int(0.3 * RATE), "float32")
    samples, time = [pause], 0.3
    lines = [f"signal {name}", "#", f"  {time:.6f}  122 {{B_TRANS}}; {{B_TRANS}}; {{B_TRANS}}; null"]
    for sound, text in utterances:
        words, seconds = (ALL_LETTERS if all_letters else text).lower().split(), len(sound) / RATE
        for index, word in enumerate(words, start=1):
            lines.append(f"  {time + seconds * index / len(words):.6f}  122 {word}; x; x; NN")
        time += seconds + 0.3
        lines.append(f"  {time:.6f}  122 <SIL>; S; null")
        samples += [sound, pause]
    write(folder / f"{name}.wav", np.concatenate(samples), subtype="PCM_16")
    (folder / f"{name}.words").write_text("\n".join(lines) + "\n")


def make(out: Path) -> None:
    english, release = speech(out / "speech", "en"), out / "cv-corpus-11.0-2022-09-21"
    for maker in (librispeech, slurp, voxceleb1, iemocap, buckeye):
        maker(english, out / maker.__name__)
    for language in ("cy", "eu"):
        common_voice(speech(out / "speech", language), release / language, language)
    places = {f"commonvoice_{language}": f"{release.name}/{language}" for language in ("cy", "eu")}
    places.update({name: name for name in ("librispeech", "slurp", "voxceleb1", "iemocap", "buckeye")})
    (out / "corpora.yaml").write_text("".join(f"{name}: {place}\n" for name, place in places.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    return exit_status(lambda: make(parser.parse_args().out))


if __name__ == "__main__":
    sys.exit(main())
