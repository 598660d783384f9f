"""What does `decode` say of what it cannot decode, and is it never a wrong rate?"""

import re

import numpy as np
import pytest
import tiny
import torch
from decoding import lines, refuse

from fairseq_summarymixing.checkpoints.state import read_state
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream import decode as verb
from fairseq_summarymixing.downstream.decode import decode
from fairseq_summarymixing.downstream.test_set import TestSet, check_symbols
from fairseq_summarymixing.errors import UserError


def test_an_error_of_the_model_on_a_short_clip_is_no_empty_hypothesis(finetuned, corpus, data, tmp_path, monkeypatch):
    tiny.write_wave(corpus / "audio" / "brief.wav", np.zeros(800))
    (data / "test.tsv").write_text(f"{corpus}\naudio/brief.wav\t800\n")
    (data / "test.ltr").write_text("A |\n")

    def broken(*args, **kwargs):
        raise RuntimeError("something else is wrong")

    monkeypatch.setattr("fairseq.models.wav2vec.wav2vec2_asr.Wav2VecCtc.forward", broken)
    with pytest.raises(RuntimeError, match="something else is wrong"):
        decode(finetuned["wav2vec2"], data, "test", tmp_path / "out")


def test_a_pretrained_checkpoint_is_named(pretrained, corpus):
    refuse(pretrained["wav2vec2"], corpus, pretrained["wav2vec2"], "'wav2vec2'", "fine-tune it first")


def test_an_unknown_model_inside_is_named(finetuned, corpus, tmp_path):
    state = read_state(finetuned["wav2vec2"])
    state["cfg"]["model"]["w2v_args"]["model"]["_name"] = "somebody_elses"
    torch.save(state, tmp_path / "other.pt")
    refuse(tmp_path / "other.pt", corpus, "'somebody_elses'", "not installed")


def test_parameters_that_do_not_fit_are_one_line(finetuned, corpus, tmp_path):
    state = read_state(finetuned["wav2vec2"])
    state["model"]["w2v_encoder.proj.weight"] = torch.zeros(3, 3)
    torch.save(state, tmp_path / "other.pt")
    refuse(tmp_path / "other.pt", corpus, "cannot be built", "w2v_encoder.proj.weight")


def test_emissions_that_are_not_finite_are_an_error_and_not_a_rate(finetuned, corpus, tmp_path):
    state = torch.load(finetuned["wav2vec2_summarymixing"], weights_only=False)
    for name in ("fc1", "fc2"):  # each as large as any weight may be, their product is larger than any number
        state["model"][f"w2v_encoder.w2v_model.encoder.layers.0.feed_forward.{name}.weight"] *= 1e18
    torch.save(state, tmp_path / "diverged.pt")
    refuse(tmp_path / "diverged.pt", corpus, tmp_path / "diverged.pt", "gives no finite emissions for", "diverged")


def test_missing_files_are_named(finetuned, data, tmp_path):
    checkpoint = finetuned["wav2vec2"]
    refuse(checkpoint, tmp_path / "nowhere", "there is no folder", tmp_path / "nowhere")
    refuse(checkpoint, data, "there is no", data / "dev.tsv", "test, train", split="dev")
    empty = tmp_path / "empty"
    empty.mkdir()
    refuse(checkpoint, empty, empty / "test.tsv", "no split")


def test_line_counts_that_differ_are_both_named(finetuned, data):
    with open(data / "test.ltr", "a") as file:
        file.write("A |\n")
    refuse(finetuned["wav2vec2"], data, "8 lines", "7 rows")


def test_a_wrong_root_and_a_missing_audio_file_are_named(finetuned, corpus, data):
    manifest = data / "test.tsv"
    rows = lines(manifest)
    manifest.write_text("\n".join(["/nowhere", *rows[1:]]) + "\n")
    refuse(finetuned["wav2vec2"], data, "/nowhere", "test.tsv")
    manifest.write_text("\n".join([*rows[:-1], "audio/gone.wav\t8000"]) + "\n")
    refuse(finetuned["wav2vec2"], data, corpus / "audio" / "gone.wav")


def test_letters_outside_the_dictionary_are_errors_of_the_model(finetuned, data, tmp_path, capsys):
    lower = (data / "test.ltr").read_text().lower()
    decode(finetuned["wav2vec2"], data, "test", tmp_path / "known")
    labels = lines(tmp_path / "known/hypotheses.ltr")  # of which all would be right
    row = max(range(7), key=lambda index: len(re.findall("[A-E]", labels[index])))
    count = len(re.findall("[A-E]", labels[row]))
    labels[row] = re.sub("[A-E]", "X", labels[row])
    (data / "test.ltr").write_text("\n".join(labels) + "\n")
    capsys.readouterr()
    result = decode(finetuned["wav2vec2"], data, "test", tmp_path / "unknown")
    assert result["character_errors"] == count > 1
    where = f"{data / 'test.ltr'}:{row + 1}: not in the checkpoint's dictionary, so that each counts as an error: X"
    assert [line for line in capsys.readouterr().err.splitlines() if "warning" in line] == [f"warning: {where}"]
    (data / "test.ltr").write_text(lower)
    refuse(finetuned["wav2vec2"], data, "test.ltr:1", "other case")


def test_a_few_letters_in_the_other_case_are_errors_of_the_model(tmp_path):
    def checked(*labels):
        test_set = TestSet("", [], [], list(labels), tmp_path / "test.ltr")
        return check_symbols(test_set, {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "|": 4, "A": 5, "B": 6, "C": 7})

    assert checked("A B |", "C |", "<unk> |") is None
    assert checked("A B |", "c A |").endswith(
        "test.ltr:2: not in the checkpoint's dictionary, so that each counts as an error: c"
    )
    with pytest.raises(UserError, match="test.ltr:1: .*: a b; they are there in the other case"):
        checked("a |", "b |", "C |")
    with pytest.raises(UserError, match="other case"):
        checked("a é |", "b |")  # é is in no case there


def test_recordings_without_a_sample_are_one_line(finetuned, data):
    import soundfile

    soundfile.write(data / "empty.wav", [], 16000)
    (data / "test.tsv").write_text(f"{data}\nempty.wav\t16000\n")
    (data / "test.ltr").write_text("A |\n")
    refuse(finetuned["wav2vec2_summarymixing"], data, "the recordings of test are empty", data / "empty.wav")


def test_a_split_that_is_not_there_is_named_whatever_else_is_there(finetuned, data):
    (data / "odd.tsv").write_bytes(b"/caf\xe9\n")
    (data / "folder.tsv").mkdir()
    refuse(finetuned["wav2vec2_summarymixing"], data, "no ", "nosuch.tsv; splits there: ", "test", split="nosuch")


def test_another_dictionary_is_named_and_none_is_fine(finetuned, data, tmp_path):
    dictionary = data / "dict.ltr.txt"
    symbols = lines(dictionary)
    dictionary.write_text("\n".join([*symbols, "Z 1"]) + "\n")
    refuse(finetuned["wav2vec2"], data, dictionary, "only in the file: Z")
    dictionary.write_text("\n".join(reversed(symbols)) + "\n")
    refuse(finetuned["wav2vec2"], data, dictionary, "another order")
    dictionary.unlink()
    assert decode(finetuned["wav2vec2"], data, "test", tmp_path / "out")["utterances"] == 7


@pytest.mark.parametrize(
    "content", [b"A\n", b"A x\n", b"A 1\nA 2\n", b"A nan\n", b"\xff\xfe\0\1\2", b"\0\n", b"A 1\n\xff", b"\n\n", b""]
)
def test_a_damaged_dictionary_is_named(content, checkpoint, data):
    (data / "dict.ltr.txt").write_bytes(content)
    refuse(checkpoint("stock", ctc=True), data, data / "dict.ltr.txt")


def test_audio_that_cannot_be_used_stops_the_run(finetuned, corpus, data, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # fairseq waits between three tries
    rows = lines(data / "test.tsv")
    (corpus / "audio" / "broken.wav").write_bytes(b"no audio")
    tiny.write_wave(corpus / "audio" / "8k.wav", np.zeros(8000), rate=8000)
    for name, part in (("broken.wav", "mend it"), ("8k.wav", "8000")):
        (data / "test.tsv").write_text("\n".join([*rows[:-1], f"audio/{name}\t8000"]) + "\n")
        refuse(finetuned["wav2vec2"], data, corpus / "audio" / name, part)


def test_our_own_fine_tuning_task_leaves_no_test_audio_out(finetuned, corpus, data, tmp_path):
    """It skips in training what cannot be used; a rate without it would be another test's."""
    state = read_state(finetuned["wav2vec2"])
    state["cfg"]["task"]["_name"] = "audio_finetuning_summarymixing"
    torch.save(state, tmp_path / "ours.pt")
    for name, checkpoint in (("stock", finetuned["wav2vec2"]), ("ours", tmp_path / "ours.pt")):
        decode(checkpoint, data, "test", tmp_path / name)
    assert lines(tmp_path / "ours/hypotheses.ltr") == lines(tmp_path / "stock/hypotheses.ltr")
    tiny.write_wave(corpus / "audio" / "8k-too.wav", np.zeros(8000), rate=8000)
    rows = lines(data / "test.tsv")
    (data / "test.tsv").write_text("\n".join([*rows[:-1], "audio/8k-too.wav\t8000"]) + "\n")
    refuse(tmp_path / "ours.pt", data, corpus / "audio/8k-too.wav", "8000")


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert verb.pick_device("auto").type == "cpu"
    with pytest.raises(UserError, match="no CUDA device"):
        verb.pick_device("cuda")


def test_from_the_command_line_a_mistake_is_one_line(corpus, tmp_path, capsys):
    assert main(["decode", str(tmp_path / "no.pt"), "--data", str(corpus), "--split", "test"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: there is no checkpoint") and error.count("\n") == 1
