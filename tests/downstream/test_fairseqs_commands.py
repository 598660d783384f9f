"""Do fairseq's own commands and scripts take our checkpoints as they take stock's?"""

import re

import pytest
import torch

pytest.importorskip("fairseq")

from fairseq_summarymixing.cli import main

NAMES = ("wav2vec2", "wav2vec2_summarymixing")


class Greedy:
    """A decoder as ``examples/speech_recognition/infer.py`` takes: best symbols, repetitions and blanks left out."""

    def __init__(self, dictionary):
        self.dictionary = dictionary

    def generate(self, models, sample, **kwargs):
        net_input = {key: value for key, value in sample["net_input"].items() if key != "prev_output_tokens"}
        emissions = models[0].get_logits(models[0](**net_input)).transpose(0, 1)  # (T, B, V) -> (B, T, V)
        for scores in emissions:
            tokens = scores.argmax(-1).unique_consecutive()
            yield [{"tokens": tokens[tokens != self.dictionary.bos()]}]


def transcripts_of_a_script(path, data):
    """As infer.py: load, iterate over batches of the task, and let the task infer."""
    from fairseq import checkpoint_utils, utils

    models, _, task = checkpoint_utils.load_model_ensemble_and_task([str(path)], arg_overrides={"data": str(data)})
    task.load_dataset("test")
    models[0].eval()
    batches = task.get_batch_iterator(
        dataset=task.dataset("test"),
        max_sentences=1,
        max_positions=utils.resolve_max_positions(task.max_positions(), *[model.max_positions() for model in models]),
        ignore_invalid_inputs=True,
        num_workers=0,
    ).next_epoch_itr(shuffle=False)
    found = {}
    with torch.no_grad():
        for sample in batches:
            for index, hypothesis in zip(
                sample["id"].tolist(), task.inference_step(Greedy(task.target_dictionary), models, sample)
            ):
                found[index] = task.target_dictionary.string(hypothesis[0]["tokens"])
    return [found[index] for index in sorted(found)]


@pytest.mark.parametrize("name", NAMES)
def test_a_script_like_fairseqs_infer_transcribes_as_decode_does(name, finetuned, corpus, tmp_path):
    found = transcripts_of_a_script(finetuned[name], corpus)
    assert len(found) == 7 and any(found)
    decode = ["decode", str(finetuned[name]), "--data", str(corpus), "--split", "test", "--out", str(tmp_path)]
    assert not main([*decode, "--device", "cpu"])
    assert found == (tmp_path / "hypotheses.ltr").read_text().splitlines()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["pretrained", "finetuned"])
def test_fairseq_validate_takes_labels_and_overrides(kind, name, request, corpus, monkeypatch, caplog, capfd):
    import fairseq_cli.validate

    path = request.getfixturevalue(kind)[name]
    task = "audio_finetuning" if kind == "finetuned" else "audio_pretraining"
    options = f"--task {task} --labels ltr --path {path} --valid-subset test --max-tokens 60000 --cpu --num-workers 0"
    overrides = ["--model-overrides", "{'normalize': False}", "--log-format", "json"]
    monkeypatch.setattr("sys.argv", ["validate.py", str(corpus), *options.split(), *overrides])
    with caplog.at_level("INFO"):
        fairseq_cli.validate.cli_main()
    logged = "".join([caplog.text, *capfd.readouterr()])
    loss = re.search(r'"test_loss": "([\d.]+)"', logged)
    assert loss and float(loss[1]) > 0
    assert ('"test_uer": ' in logged) == (kind == "finetuned")
