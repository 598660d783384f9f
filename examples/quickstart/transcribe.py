"""Transcribe a recording with transformers alone: no fairseq, no fairseq_summarymixing.

    python examples/quickstart/transcribe.py DIR AUDIO

DIR is a directory of ``fairseq-summarymixing export hf``. The file is 16 kHz.
"""

import sys


def main(directory: str, audio: str) -> None:
    import soundfile
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    samples, rate = soundfile.read(audio, dtype="float32")
    recognise = pipeline("automatic-speech-recognition", model=directory, trust_remote_code=True)
    answer = recognise({"raw": samples, "sampling_rate": rate}, return_timestamps="word")
    print(f"transcript: {answer['text']}")
    for word in answer["chunks"]:
        start, end = word["timestamp"]
        print(f"{start:6.2f} to {end:5.2f} s  {word['text']}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/quickstart/transcribe.py DIR AUDIO")
    main(*sys.argv[1:])
