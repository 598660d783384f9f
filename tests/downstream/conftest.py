"""A tiny fine-tuned checkpoint of stock wav2vec2 and of ours, from fairseq's own trainer, and a test split."""

import contextlib
import io
import logging
import shutil

import numpy as np
import pytest
import tiny
import torch

LETTERS = "ABCDE"
MODEL = {**tiny.MODEL, "latent_dim": 12, "extractor_mode": "layer_norm"}


def write_split(folder, split, texts, seconds=(0.5, 1.5)):
    """Recordings of different lengths with the given transcripts: split.tsv, split.ltr, dict.ltr.txt."""
    random = np.random.default_rng(len(split))
    rows = [str(folder)]
    for index, _ in enumerate(texts):
        samples = tiny.tone(random.uniform(*seconds), seed=index)
        tiny.write_wave(folder / "audio" / f"{split}-{index}.wav", samples)
        rows.append(f"audio/{split}-{index}.wav\t{len(samples)}")
    letters = [" ".join(text.replace(" ", "|")) + " |" if text else "" for text in texts]
    (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    (folder / f"{split}.ltr").write_text("\n".join(letters) + "\n")
    (folder / "dict.ltr.txt").write_text("".join(f"{letter} 10\n" for letter in "|" + LETTERS))


def train(save_dir, arguments):
    """Two updates with fairseq's trainer in this process; the checkpoint's path."""
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq_cli.train import main

    # Stock fairseq 0.12.2 reads the validation set even where validation is off.
    common = (
        f"--save-dir {save_dir} --max-update 2 --max-tokens 60000 --cpu --num-workers 0 --optimizer adam --lr 0.001 "
        "--lr-scheduler fixed --no-epoch-checkpoints --disable-validation --valid-subset test "
        "--ignore-unused-valid-subsets --log-format none --seed 1"
    )
    level, handlers = logging.root.level, list(logging.root.handlers)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            parser = options.get_training_parser()
            parsed = options.parse_args_and_arch(parser, [*arguments, *common.split()])
            main(convert_namespace_to_omegaconf(parsed))
    finally:
        logging.root.setLevel(level)
        logging.root.handlers[:] = handlers
    return save_dir / "checkpoint_last.pt"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 7)):
        words = [["".join(random.choice(list(LETTERS), 3)) for _ in range(1 + index % 3)] for index in range(count)]
        write_split(folder, split, [" ".join(sentence) for sentence in words])
    return folder


@pytest.fixture
def data(corpus, tmp_path):
    """A copy of the manifests that a test may spoil; the audio stays where it is."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in corpus.glob("*.*"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory, corpus):
    """Checkpoints of pre-training by fairseq's name of the model."""
    import fairseq_summarymixing.models  # noqa: F401

    paths = {}
    for name in ("wav2vec2", "wav2vec2_summarymixing"):
        flags = [text for key, value in MODEL.items() for text in (f"--{key.replace('_', '-')}", str(value))]
        arguments = [str(corpus), "--task", "audio_pretraining", "--arch", name, "--criterion", "wav2vec"]
        arguments += ["--infonce", "--quantize-targets", "--max-sample-size", "16000", *flags]
        paths[name] = train(tmp_path_factory.mktemp(f"pretrained-{name}"), arguments)
    return paths


@pytest.fixture(scope="session")
def finetuned(tmp_path_factory, corpus, pretrained):
    """Checkpoints of fine-tuning, by the name of the pre-trained model; they emit every letter."""
    paths = {}
    for name, path in pretrained.items():
        arguments = [str(corpus), "--task", "audio_finetuning", "--labels", "ltr", "--arch", "wav2vec_ctc"]
        arguments += ["--w2v-path", str(path), "--criterion", "ctc", "--zero-infinity", "--mask-prob", "0.1"]
        paths[name] = train(tmp_path_factory.mktemp(f"finetuned-{name}"), arguments)
        randomise_projection(paths[name])
    return paths


def randomise_projection(path):
    """Two updates teach a model nothing; with random weights on top its answer at least depends on the audio."""
    from fairseq_summarymixing.checkpoints.state import read_state

    state = read_state(path)
    generator = torch.Generator().manual_seed(3)
    weight = state["model"]["w2v_encoder.proj.weight"]
    state["model"]["w2v_encoder.proj.weight"] = torch.randn(weight.shape, generator=generator)
    state["model"]["w2v_encoder.proj.bias"] = torch.zeros(weight.size(0))
    torch.save(state, path)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    tiny.write_wave(folder / "long.wav", tiny.tone(7.3))
    tiny.write_wave(folder / "low.wav", tiny.tone(1.0, rate=8000), 8000)
    return folder
