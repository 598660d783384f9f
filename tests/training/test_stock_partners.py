"""Does the model work under stock fairseq's task, criterion and fine-tuning models, and in half precision?"""

import logging
import re

import pytest

fairseq = pytest.importorskip("fairseq", reason="trains with fairseq")

from tiny import TINY_FINETUNING, last_checkpoint, pretraining, run, train, write_corpus

RECIPE = ("pretraining", "summarymixing_base_librispeech")


def losses(caplog):
    found = re.findall(r'"epoch": \d+, "update": [\d.]+, "loss": "([\d.]+)"', caplog.text)
    caplog.clear()
    return [float(loss) for loss in found]


def test_stock_audio_pretraining_trains_the_model(tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    stock = {"task": {"_name": "audio_pretraining", "data": str(corpus), "max_sample_size": 250000, "normalize": False}}
    given = {key: value for key, value in pretraining(corpus, tmp_path).items() if not key.startswith("task.")}
    train(*RECIPE, {**given, **stock})
    assert (tmp_path / "checkpoint_last.pt").exists()


@pytest.mark.skipif(fairseq.__version__ == "0.12.2", reason="fairseq 0.12.2 does not batch prev_output_tokens")
def test_fine_tuning_with_a_sequence_to_sequence_decoder(tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    train(*RECIPE, pretraining(corpus, tmp_path / "first"))
    decoder = {
        "model": {
            "_name": "wav2vec_seq2seq",
            "w2v_path": str(tmp_path / "first/checkpoint_last.pt"),
            "apply_mask": True,
            "decoder_embed_dim": 512,
            "decoder_ffn_embed_dim": 16,
            "decoder_layers": 1,
            "decoder_attention_heads": 2,
            "mask_channel_length": 4,
        },
        "criterion": {"_name": "cross_entropy"},
        "task.autoregressive": True,
        "task.data": str(corpus),
        "checkpoint.save_dir": str(tmp_path / "second"),
        "checkpoint.best_checkpoint_metric": "loss",
    }
    given = {key: value for key, value in TINY_FINETUNING.items() if not key.startswith("model.")}
    train("finetuning", "base_10h", {**given, **decoder})
    assert (tmp_path / "second/checkpoint_last.pt").exists()


@pytest.mark.parametrize("mixer", ["summary_mixing", "self_attention"])
def test_bf16_follows_fp32(mixer, tmp_path, caplog):
    corpus = write_corpus(tmp_path / "corpus", clips=12)
    curves = []
    for bf16 in (False, True):
        with caplog.at_level(logging.INFO):
            # with fewer than 16 channels a group, torch's bf16 convolutions are wrong on CPUs that have AMX (its issue
            # 163347)
            changes = dict(common__bf16=bf16, model__conv_pos_groups=2, model__mixer=mixer)
            changes.update(optimization__max_update=10, dataset__max_tokens=128000)
            train(*RECIPE, pretraining(corpus, tmp_path / str(bf16), **changes))
        curves.append(losses(caplog))
    assert len(curves[0]) == 10
    # one flipped code moves one update's loss on so few frames
    assert sum(curves[1]) == pytest.approx(sum(curves[0]), rel=0.02)
    assert curves[1] == pytest.approx(curves[0], rel=0.05)


def test_checkpointed_activations_and_layerdrop_train(tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    changes = dict(model__checkpoint_activations=True, model__encoder_layerdrop=0.5, optimization__max_update=3)
    train(*RECIPE, pretraining(corpus, tmp_path, **changes))
    state = last_checkpoint(tmp_path)
    # the names are those of a model that checkpoints nothing
    assert "encoder.layers.0.mixer.combiner.weight" in state["model"]


def test_the_plugin_works_from_another_folder_once_installed(tmp_path):
    import importlib.metadata

    try:
        files = importlib.metadata.files("fairseq-summarymixing") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    if not any(str(file) == "fairseq_summarymixing/__init__.py" for file in files):
        pytest.skip("the package is not installed as a copy beside fairseq; make install does it")
    corpus = write_corpus(tmp_path / "corpus")
    status, output = run(*RECIPE, pretraining(corpus, tmp_path / "run"), cwd=tmp_path)
    assert status == 0, output[-2000:]
    assert (tmp_path / "run/checkpoint_last.pt").exists()
