"""A corpus that any encoder can tell apart: letters are tones, and speakers hum or hiss."""

import numpy as np
import pytest
import tiny

PITCHES = {"A": 350, "B": 2500}
SPEAKERS = ("hum", "hiss")


def write_tones(folder, counts, seconds=0.15):
    """Utterances of 3 or 5 letters, each a tone: SPLIT.tsv, SPLIT.ltr, and the speakers as SPLIT.cls."""
    random = np.random.default_rng(3)
    for split, count in counts.items():
        rows, lines, speakers = [str(folder)], [], []
        for number in range(count):
            letters, speaker = random.choice(list(PITCHES), 3 + 2 * (number % 2)), SPEAKERS[number // 2 % 2]
            time = np.arange(round(seconds * 16000)) / 16000
            tones = [np.sin(2 * np.pi * PITCHES[letter] * time) * np.sin(np.pi * time / seconds) for letter in letters]
            samples = 0.3 * np.concatenate(tones)
            hum = np.sin(2 * np.pi * 100 * np.arange(len(samples)) / 16000)
            samples += 0.12 * (hum if speaker == "hum" else random.standard_normal(len(samples)))
            tiny.write_wave(folder / "audio" / f"{split}-{number}.wav", samples)
            rows.append(f"audio/{split}-{number}.wav\t{len(samples)}")
            lines.append(" ".join(f"{letter} |" for letter in letters))
            speakers.append(speaker)
        for ending, content in (("tsv", rows), ("ltr", lines), ("cls", speakers)):
            (folder / f"{split}.{ending}").write_text("".join(f"{line}\n" for line in content))
    return folder


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    return write_tones(tmp_path_factory.mktemp("tones"), {"train": 24, "valid": 8, "test": 12})
