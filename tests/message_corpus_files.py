"""The recordings and corpora that the commands of messages.txt name, each with one fault."""

import json
import os
import zipfile

import numpy as np
import soundfile
import tiny

WORDS = "header\n#\n"  # of a file .words of Buckeye
SPOKEN = WORDS + "0.5 122 one; W AH N\n1.0 122 two; T UW\n"
RECORDED = {"rate": 16000, "seconds": 1.2}
# speaker/book/recording.json of Libri-Light, and what the recording is
LIGHT = {
    "light": ("[[0, 1]]", RECORDED),
    "light-unmarked": (None, RECORDED),
    "light-keyless": ("{", RECORDED),
    "light-odd": ('["a"]', RECORDED),
    "light-silent": ("[[1, 1]]", RECORDED),
    "light-disordered": ("[[0.8, 1], [0, 0.5]]", RECORDED),
    "light-beyond": ("[[0, 9]]", RECORDED),
    "light-8k": ("[[0, 1]]", {"rate": 8000, "seconds": 1.2}),
}
# .words of a recording of Buckeye, and what the recording is
BUCKEYE = {
    "buckeye-wavless": (SPOKEN, None),
    "buckeye-disordered": (WORDS + "0.5 122 one; W\n0.1 122 two; T\n", RECORDED),
    "buckeye-8k": (SPOKEN, {"rate": 8000, "seconds": 1.2}),
    "buckeye-beyond": (WORDS + "0.5 122 one;\n9.0 122 two;\n", RECORDED),
    "buckeye-wordless": (WORDS + "1.0 122 <SIL>;\n", RECORDED),
    "buckeye-train": (SPOKEN, RECORDED),
}
TEXTS = {
    "lists/tabs.txt": "a\tAB\n",
    "lists/a-twice.csv": "path,text\na,AB\na,CAB\n",
    "lists/a-other.csv": "path,text\na,CAB\n",
    "lists/a.csv": "path,text\na,AB\n",
    "lists/pathless.csv": "path,text\n,AB\n",
    "lists/endless.csv": f'path,text\na,"{"A" * 140_000}\n',
    "lists/three.tsv": "a\tAB\tann\n",
    "lists/spelled.tsv": "a\tAB\na.wav\tAB\n",
    "lists/bar.tsv": "a\tA|B\nb\tA|B\n",
    "lists/digits.tsv": "a\t1\nb\t2\n",
    "lists/bare.tsv": "a\t\nb\t\n",
    "lists/only-a.txt": "a\n",
    "lists/fits.txt": "mixed/good.wav\n",
    "lists/empty.txt": "mixed/empty.wav\n",
    "bad/mixed/empty.wav": "",
    "demo/settings.json": '{"version": 1, "minutes": 2.0, "seed": 0, "languages": ["cy"]}',
    "light-begun/settings.json": '{"version": 1, "min_seconds": 5.0, "max_seconds": 30.0}',
    "o:dd/libri/dev-clean/1/2/1-2.trans.txt": "1-2-0000 A\n",
    "libri-empty/dev-clean/1/README": "",
    "ocean/train/wav.scp": "1 WAVE/1.WAV\n",
    "ocean/train/text": "",
    "ocean/train/utt2spk": "1 ann\n",
    "digits-damaged/7_ann_0.wav": "",
    "digits-damaged/7_nicolas_0.wav": "",
    "digits-damaged/7_lucas_0.wav": "",
    "digits-link/7_ann_0.wav": "",
    "digits-link/7_nicolas_0.wav": "",
    "digits-silent/7_ann_0.wav": "",
    "digits-silent/7_nicolas_0.wav": "",
    "buckeye-noise/s0101a.wav": "this is no recording\n",
    "buckeye-noise/s0101a.words": SPOKEN,
    "bad/text/a.wav": "this is no recording\n",
    "bad/empty/a.wav": "",
    "bad/nothing/a.opus": "this is no recording\n",
    "bench.jsonl": json.dumps(
        {
            **{"work": "step", "shape": "base", "batch": 1, "dtype": "fp32", "device": "cpu", "compiled": False},
            **{"seconds": 10.0, "candidate": "summary_mixing", "skipped": "no reason", "machine": "", "threads": 1},
            **{"torch": "2", "commit": "", "date": "", "repeat": 1},
        }
    ),
    "study/empty/.keep": "",
    "study/brought/results/pretraining/summarymixing-1.pt": "",
    "study/short/read_english/utterances.tsv": "path\ttext\tsplit\na.wav\n",
    "study/unsplit/read_english/utterances.tsv": "path\ttext\na.wav\tA\n",
}


def write_corpora(folder):
    """Write everything that is named here, below a folder."""
    for name, content in TEXTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    write_audio(folder / "bad")
    for name, (marks, recording) in LIGHT.items():
        tiny.write_wave(folder / f"{name}/1/2/a.flac", sound(recording), recording["rate"])
        if marks is not None:
            (folder / f"{name}/1/2/a.json").write_text(f'{{"voice_activity": {marks}}}')
    for name, (words, recording) in BUCKEYE.items():
        (folder / name).mkdir()
        (folder / f"{name}/s0101a.words").write_text(words)
        if recording:
            tiny.write_wave(folder / f"{name}/s0101a.wav", sound(recording), recording["rate"])
    (folder / "buckeye-damaged").mkdir()
    (folder / "buckeye-damaged/s01.zip").write_bytes(b"PK\3\4")
    (folder / "buckeye-flipped").mkdir()
    with zipfile.ZipFile(folder / "buckeye-flipped/s01.zip", "w") as archive:
        archive.writestr("s0101a.words", SPOKEN)
    data = (folder / "buckeye-flipped/s01.zip").read_bytes()
    (folder / "buckeye-flipped/s01.zip").write_bytes(data.replace(b"one", b"two", 1))
    tiny.write_wave(folder / "light-named/ 1/2/a.flac", tiny.tone(0.1))
    tiny.write_wave(folder / "digits-silent/7_lucas_0.wav", tiny.tone(0.1)[:0])
    (folder / "digits-link/7_lucas_0.wav").symlink_to("nosuch.wav")
    for path in ("two/x/a.wav", "two/y/a.wav", "o:dd/a.wav", "sidecar/a.wav"):
        tiny.write_wave(folder / path, tiny.tone(0.1))
    (folder / "sidecar/a.txt").write_bytes(b"CAF\xc9")
    (folder / "noted/audio/sources.tsv").mkdir(parents=True)
    (folder / "linked/audio").mkdir(parents=True)
    (folder / "linked/audio/sources.tsv").symlink_to("nosuch")


def sound(recording):
    return tiny.tone(recording["seconds"], recording["rate"])


def write_audio(folder):
    """Write recordings that cannot be used, in a folder each."""
    tone = tiny.tone(1.0)
    tiny.write_wave(folder / "no-samples/a.wav", tone[:0])
    tiny.write_wave(folder / "rate/a.wav", tone[:200], 100)
    for name in ("wav", "flac", "ogg"):
        tiny.write_wave(folder / f"cut-{name}/a.{name}", np.tile(tone, 4))
        path = folder / f"cut-{name}/a.{name}"
        path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    for name, value in (("nan", np.nan), ("loud", 1e11)):
        (folder / name).mkdir()
        soundfile.write(folder / f"{name}/a.wav", np.full(3200, value, np.float32), 16000, subtype="FLOAT")
    (folder / "link").mkdir()
    (folder / "link/a.wav").symlink_to("nosuch.wav")
    tiny.write_wave(folder / "mixed/good.wav", tone)
    (folder / "pipe").mkdir()
    os.mkfifo(folder / "pipe/a.wav")
