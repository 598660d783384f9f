"""Are the codes of `features --codes` what the quantiser chooses?"""

import checkpoint_files
import pytest
import tiny
import torch
from feature_runs import features


@pytest.mark.parametrize("kind", ["summary_mixing", "summary_mixing-group_norm", "paper", "twin", "stock"])
def test_codes_are_what_the_quantiser_chooses(kind, checkpoint, recordings, tmp_path, capsys):
    import soundfile
    from fairseq import checkpoint_utils

    import fairseq_summarymixing.tasks  # noqa: F401

    tiny.write_wave(tmp_path / "in/a/b.wav", tiny.tone(0.7))
    options = ["--codes", "--chunk-seconds", "1"]
    assert features(checkpoint(kind), recordings / "long.wav", tmp_path / "in", out=tmp_path, options=options) == 0
    assert capsys.readouterr().out == f"2 recordings: {tmp_path / 'codes.tsv'}\n"
    rows = [line.split("\t") for line in (tmp_path / "codes.tsv").read_text().splitlines()]
    assert [name for name, _ in rows] == ["long", "a/b"]
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint(kind))])
    for path, (_, text) in zip((recordings / "long.wav", tmp_path / "in/a/b.wav"), rows):
        wave = torch.from_numpy(soundfile.read(path, dtype="float32")[0]).unsqueeze(0)
        with torch.no_grad():
            codes = model.eval().quantize(wave)[1][0]
        assert text == " ".join(f"{first}-{second}" for first, second in codes.tolist())


def test_codes_need_a_quantiser(checkpoint, finetuned, recordings, tmp_path, capsys):
    audio, options = recordings / "long.wav", ["--codes"]
    no_quantiser = {"quantize_targets": False, "latent_dim": 0, "latent_vars": 320}
    none = checkpoint_files.pretrained(tmp_path / "none.pt", "summary_mixing", **no_quantiser)
    for path, message in (
        (finetuned["wav2vec2"], "is fine-tuned and holds no quantiser"),
        (none, "was pre-trained without a quantiser"),
    ):
        assert features(path, audio, out=tmp_path / "out", options=options) == 1
        assert message in capsys.readouterr().err
    assert features(checkpoint("stock"), audio, out=tmp_path / "out", options=[*options, "--layers", "1"]) == 1
    assert "leave out --layers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
