"""Is what `decode` writes what fairseq computes, whole, and in manifest order?"""

import json
import shutil

import numpy as np
import pytest
import tiny
import torch
from decoding import lines, refuse

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.checkpoints.for_fairseq import state_for_fairseq
from fairseq_summarymixing.checkpoints.state import read_state
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream import decode as verb
from fairseq_summarymixing.downstream.decode import Batching, decode
from fairseq_summarymixing.downstream.emissions import EmissionModel, plan_batches
from fairseq_summarymixing.downstream.error_rate import character_errors, word_errors
from fairseq_summarymixing.downstream.progress import AudioProgress
from fairseq_summarymixing.downstream.recogniser import load_recogniser
from fairseq_summarymixing.errors import UserError


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2_summarymixing"])
def test_batched_decoding_equals_utterance_by_utterance(finetuned, corpus, tmp_path, name):
    together, alone = tmp_path / "together", tmp_path / "alone"
    result = decode(finetuned[name], corpus, "test", together, Batching(batch_seconds=1000))
    decode(finetuned[name], corpus, "test", alone, Batching(batch_seconds=0))
    assert lines(together / "hypotheses.ltr") == lines(alone / "hypotheses.ltr")
    assert len(set(lines(alone / "hypotheses.ltr"))) > 1  # the answers depend on the audio
    assert (result["model"], result["utterances"]) == (name, 7)


@pytest.mark.parametrize("mixer", ["hyper_mixing", "fastformer"])
def test_models_of_other_mixers_are_decoded(mixer, checkpoint, corpus, tmp_path):
    together = decode(checkpoint(mixer, ctc=True), corpus, "test", tmp_path / "together", Batching(batch_seconds=1000))
    decode(checkpoint(mixer, ctc=True), corpus, "test", tmp_path / "alone", Batching(batch_seconds=0))
    assert together["utterances"] == 7
    assert lines(tmp_path / "together/hypotheses.ltr") == lines(tmp_path / "alone/hypotheses.ltr")
    assert len(set(lines(tmp_path / "alone/hypotheses.ltr"))) > 1


def test_the_answer_is_what_fairseq_computes_in_validation(finetuned, corpus, tmp_path):
    """The criterion's own loop over one batch, which no code of ours takes part in but the reader."""
    from fairseq import checkpoint_utils

    path = finetuned["wav2vec2"]
    result = decode(path, corpus, "test", tmp_path / "out")
    state = state_for_fairseq(Checkpoint.read(path), {"data": str(corpus)})
    models, config, task = checkpoint_utils.load_model_ensemble_and_task([str(path)], state=state)
    task.load_dataset("test")
    dataset = task.datasets["test"]
    batch = dataset.collater([dataset[index] for index in range(7)])
    criterion = task.build_criterion(config.criterion).eval()
    with torch.no_grad():
        _, _, logged = criterion(models[0].eval(), batch)
    assert (result["word_errors"], result["words"]) == (logged["w_errors"], logged["w_total"])


def test_files_are_in_manifest_order_and_agree_with_the_result(finetuned, corpus, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["decode", str(finetuned["wav2vec2"]), "--data", str(corpus), "--split", "test"]
    assert main([*arguments, "-o", str(out), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    result = json.loads((out / "result.json").read_text())
    references, hypotheses = lines(out / "references.wrd"), lines(out / "hypotheses.wrd")
    assert references == [line.replace(" ", "").replace("|", " ").strip() for line in lines(corpus / "test.ltr")]
    assert result["wer"] == pytest.approx(100 * word_errors(references, hypotheses).rate)
    assert result["cer"] == pytest.approx(100 * character_errors(references, hypotheses).rate)
    assert result["wer_ci"][0] <= result["wer"] <= result["wer_ci"][1]
    assert result["real_time_factor"] == pytest.approx(result["seconds"] / result["audio_seconds"])
    assert result["num_updates"] == 2
    assert printed.startswith(f"WER {result['wer']:.1f} % (95 % CI") and printed.count("\n") == 1
    assert sorted(path.name for path in out.iterdir()) == [
        "hypotheses.ltr",
        "hypotheses.wrd",
        "references.wrd",
        "result.json",
    ]


def test_the_answer_lies_beside_the_checkpoint_by_default(finetuned, corpus, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoint_best.pt"
    checkpoint.parent.mkdir()
    shutil.copy(finetuned["wav2vec2"], checkpoint)
    decode(checkpoint, corpus, "test")
    assert (checkpoint.parent / "decode" / "checkpoint_best-test" / "result.json").is_file()


def test_a_split_of_the_same_name_of_other_data_replaces_nothing_by_default(finetuned, corpus, data, tmp_path, capsys):
    checkpoint = tmp_path / "run" / "checkpoint_best.pt"
    checkpoint.parent.mkdir()
    shutil.copy(finetuned["wav2vec2"], checkpoint)
    decode(checkpoint, corpus, "test")
    decode(checkpoint, corpus, "test")  # again
    folder = checkpoint.parent / "decode" / "checkpoint_best-test"
    files = {path: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    assert main(["decode", str(checkpoint), "--data", str(data), "--split", "test"]) == 1
    assert capsys.readouterr().err == (
        f"error: {folder} holds the decode of {corpus}, which stays as it is: name a folder as --out\n"
    )
    assert {path: path.read_bytes() for path in folder.iterdir()} == files
    result = decode(checkpoint, data, "test", folder)
    assert (result["data"], result["out"]) == (str(data), str(folder))


def test_a_decode_killed_while_it_writes_leaves_no_earlier_result(finetuned, corpus, tmp_path, monkeypatch):
    def killed(path, lines):
        raise KeyboardInterrupt

    decode(finetuned["wav2vec2"], corpus, "test", tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(verb, "_write_lines", killed)
        decode(finetuned["wav2vec2_summarymixing"], corpus, "test", tmp_path)
    assert not (tmp_path / "result.json").exists()
    assert decode(finetuned["wav2vec2_summarymixing"], corpus, "test", tmp_path)["utterances"] == 7


def test_normalised_audio_is_decoded_as_it_was_trained(finetuned, corpus, tmp_path):
    """task.normalize of the checkpoint decides: quieter audio is the same audio only then."""
    quiet = tmp_path / "quiet"
    shutil.copytree(corpus, quiet)
    (quiet / "test.tsv").write_text((corpus / "test.tsv").read_text().replace(str(corpus), str(quiet)))
    import soundfile

    for path in (quiet / "audio").glob("test-*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples * 0.5, rate, subtype="FLOAT")
    state = read_state(finetuned["wav2vec2"])
    same = {}
    for normalize in (False, True):
        state["cfg"]["task"]["normalize"] = state["cfg"]["model"]["normalize"] = normalize
        state["cfg"]["model"]["w2v_args"]["task"]["normalize"] = normalize
        checkpoint = tmp_path / f"{normalize}.pt"
        torch.save(state, checkpoint)
        sources = []
        for folder in (corpus, quiet):
            recogniser = load_recogniser(Checkpoint.read(checkpoint), folder, torch.device("cpu"))
            recogniser.task.load_dataset("test")
            sources.append(recogniser.task.datasets["test"][0]["source"])
        same[normalize] = torch.allclose(*sources, atol=1e-2)
    assert same == {False: False, True: True}


def test_an_utterance_shorter_than_one_frame_is_an_empty_hypothesis(finetuned, corpus, data, tmp_path, capsys):
    tiny.write_wave(corpus / "audio" / "short.wav", np.zeros(150))
    with open(data / "test.tsv", "a") as file:
        file.write("audio/short.wav\t150\n")
    with open(data / "test.ltr", "a") as file:
        file.write("A B |\n")
    for name, checkpoint in finetuned.items():
        result = decode(checkpoint, data, "test", tmp_path / name)
        assert lines(tmp_path / name / "hypotheses.wrd")[-1] == ""
        assert result["utterances"] == 8
        assert "short.wav" in result["notes"][0]
        assert "warning: audio/short.wav" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["stock", "stock-group_norm", "summary_mixing", "twin", "paper"])
def test_a_clip_of_exactly_one_window_has_emissions_and_a_shorter_one_has_none(kind, checkpoint):
    read = Checkpoint.read(checkpoint(kind, ctc=True))
    model = EmissionModel(load_recogniser(read, None, torch.device("cpu")), read, Batching(device="cpu"))
    waves, names = [torch.randn(samples) for samples in (0, 1, 399, 400, 1000)], list("abcde")
    none, one, short, window, more = model.compute(waves, names, AudioProgress(1.0, "test"))
    width = len(model.recogniser.symbols)
    assert [found.shape for found in (none, one, short)] == [(0, width)] * 3
    assert len(more) > len(window) >= 1 and window.shape[1] == width


def test_min_and_max_length_of_training_leave_no_test_audio_out(finetuned, corpus, tmp_path):
    decode(finetuned["wav2vec2"], corpus, "test", tmp_path / "plain")
    state = read_state(finetuned["wav2vec2"])
    state["cfg"]["task"].update(min_sample_size=16000, max_sample_size=18000)
    torch.save(state, tmp_path / "limits.pt")
    decode(tmp_path / "limits.pt", corpus, "test", tmp_path / "limits")
    assert lines(tmp_path / "limits" / "hypotheses.ltr") == lines(tmp_path / "plain" / "hypotheses.ltr")


def test_all_blank_hypotheses_and_an_empty_reference_count(finetuned, data, tmp_path):
    state = read_state(finetuned["wav2vec2"])
    state["model"]["w2v_encoder.proj.bias"][0] = 1e6
    torch.save(state, tmp_path / "blank.pt")
    labels = lines(data / "test.ltr")
    (data / "test.ltr").write_text("\n".join(["", *labels[1:]]) + "\n")
    result = decode(tmp_path / "blank.pt", data, "test", tmp_path / "out")
    assert result["wer"] == 100.0
    assert result["empty_hypotheses"] == result["utterances"] == 7
    assert lines(tmp_path / "out" / "hypotheses.wrd") == [""] * 7
    (data / "test.ltr").write_text("\n" * 7)
    refuse(tmp_path / "blank.pt", data, "test.ltr holds no words")


def test_a_split_without_labels_gets_hypotheses_without_scores(finetuned, data, tmp_path, capsys):
    decode(finetuned["wav2vec2"], data, "test", tmp_path / "scored")
    shutil.copytree(tmp_path / "scored", tmp_path / "out")  # references of an earlier run do not stay
    (data / "test.ltr").unlink()
    arguments = ["decode", str(finetuned["wav2vec2"]), "--data", str(data), "--split", "test", "--timestamps"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"7 utterances, no references: {tmp_path / 'out'}\n"
    assert f"there is no {data / 'test.ltr'}: hypotheses are written without error rates" in printed.err
    assert lines(tmp_path / "out/hypotheses.wrd") == lines(tmp_path / "scored/hypotheses.wrd")
    result = json.loads((tmp_path / "out/result.json").read_text())
    assert (result["wer"], result["cer"], result["utterances"]) == (None, None, 7)
    assert not (tmp_path / "out/references.wrd").exists() and (tmp_path / "out/hypotheses.ctm").exists()


def test_recordings_keep_their_own_names_in_the_table_of_times(finetuned, corpus, tmp_path):
    names = ["id1/v/00001.wav", "id2/v/00001.wav", "id2/v/0 2.wav", "id2/v/00001.wav"]
    for number, name in enumerate(names[:3]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(corpus / f"audio/test-{number}.wav", tmp_path / name)
    rows = lines(corpus / "test.tsv")
    frames = [row.split("\t")[1] for row in (rows[1], rows[2], rows[3], rows[2])]
    (tmp_path / "test.tsv").write_text("\n".join([str(tmp_path), *map("\t".join, zip(names, frames))]) + "\n")
    decode(finetuned["wav2vec2"], tmp_path, "test", tmp_path / "out", timestamps=True)
    table = [line.split() for line in lines(tmp_path / "out/hypotheses.ctm")]
    hypotheses = lines(tmp_path / "out/hypotheses.wrd")
    assert all(hypotheses) and hypotheses[1] == hypotheses[3]
    for name, text in zip(("id1/v/00001", "id2/v/00001", "id2/v/0_2"), hypotheses):
        assert [fields[4] for fields in table if fields[0] == name] == text.split()
    assert len(table) == sum(len(text.split()) for text in hypotheses[:3]) and {len(fields) for fields in table} == {5}


def test_batches_hold_everything_once_and_stay_in_the_budget():
    samples = [5, 900, 30, 30, 120, 7, 100]
    for budget in (0, 100, 240, 10**6):
        batches = plan_batches(samples, budget)
        assert sorted(index for batch in batches for index in batch) == list(range(7))
        for batch in batches:
            assert len(batch) == 1 or len(batch) * max(samples[index] for index in batch) <= budget


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2_summarymixing"])
def test_long_utterances_are_decoded_as_in_one_pass(name, finetuned, corpus, tmp_path, monkeypatch):
    whole = verb.decode(finetuned[name], corpus, "test", tmp_path / "whole", Batching(batch_seconds=0))
    chunks = verb.decode(finetuned[name], corpus, "test", tmp_path / "chunks", Batching(chunk_seconds=1))
    assert chunks["wer"] == whole["wer"] and chunks["cer"] == whole["cer"]
    read = [(tmp_path / folder / "hypotheses.ltr").read_text() for folder in ("whole", "chunks")]
    assert read[0] == read[1] and any(read[0].split())
    if name == "wav2vec2":
        monkeypatch.setattr("fairseq_summarymixing.downstream.encoder.MAX_ATTENTION_SECONDS", 1)
        with pytest.raises(UserError, match="self-attention's cost is quadratic"):
            verb.decode(finetuned[name], corpus, "test", tmp_path / "refused", Batching(chunk_seconds=1))
        verb.decode(finetuned[name], corpus, "test", tmp_path / "windows", Batching(chunk_seconds=1, window_seconds=1))
