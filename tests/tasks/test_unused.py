"""Does a run log which of its utterances no batch holds, in every task, and train on sets smaller than a batch?"""

import logging

import pytest

fairseq = pytest.importorskip("fairseq", reason="tests the batches of fairseq's tasks")

from tiny import EXAMPLES, finetuning, pretraining, train, write_corpus

DROPS = fairseq.__version__ != "0.12.2"  # which makes a smaller last batch
RECIPES = {
    "audio_finetuning": ("finetuning", "base_10h"),
    "wav2vec2_summarymixing": ("pretraining", "summarymixing_base_librispeech"),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """3 utterances to validate on, 10 to train on, of which the last is too short."""
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, clips=3, splits=("train", "valid"))
    write_corpus(folder, clips=10, splits=("train",))
    lines = (folder / "train.tsv").read_text().splitlines()
    (folder / "train.tsv").write_text("\n".join([*lines[:-1], lines[-1].split("\t")[0] + "\t1000"]) + "\n")
    return folder


@pytest.fixture(scope="module")
def pretrained(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    train(*RECIPES["wav2vec2_summarymixing"], settings("wav2vec2_summarymixing", corpus, folder))
    return folder / "checkpoint_last.pt"


def settings(task, corpus, folder, pretrained=None, **more):
    fields = dict(
        task__min_sample_size=4000,
        dataset__max_tokens=16 * 16000,
        optimization__max_update=3,
        dataset__batch_size=None,
        dataset__validate_interval=1,
    )
    if pretrained:
        return finetuning(corpus, folder, pretrained, **{**fields, **more})
    return pretraining(corpus, folder, **{**fields, **more})


def run(task, corpus, folder, pretrained, caplog, **more):
    """Train. Returns the lines about each split, with their levels."""
    checkpoint = pretrained if task == "audio_finetuning" else None
    caplog.clear()
    with caplog.at_level(logging.INFO):
        train(*RECIPES[task], settings(task, corpus, folder, checkpoint, **more))
    return [
        (record.levelname, record.getMessage()) for record in caplog.records if "batches hold" in record.getMessage()
    ]


@pytest.mark.parametrize("task", RECIPES)
def test_what_no_batch_holds_is_logged_once_for_each_split(task, corpus, pretrained, tmp_path, caplog):
    short = "1 shorter than task.min_sample_size"
    valid = ("INFO", "valid: batches hold 3 of 3 utterances")  # with a multiple of 8 the only batch is kept
    lines = run(task, corpus, tmp_path / "1", pretrained, caplog)
    assert sorted(lines) == [valid, ("WARNING", f"train: batches hold 9 of 10 utterances: {short}")]
    lines = run(task, corpus, tmp_path / "8", pretrained, caplog, dataset__required_batch_size_multiple=8)
    left_over = "; 1 left over by dataset.required_batch_size_multiple=8 (set it to 1)" if DROPS else ""
    held = 8 if DROPS else 9
    assert sorted(lines) == [valid, ("WARNING", f"train: batches hold {held} of 10 utterances: {short}{left_over}")]


@pytest.mark.parametrize("task", RECIPES)
def test_a_set_smaller_than_a_batch_trains(task, corpus, pretrained, tmp_path, caplog):
    changes = dict(dataset__required_batch_size_multiple=64, dataset__train_subset="valid")
    lines = run(task, corpus, tmp_path, pretrained, caplog, **changes)
    assert lines == [("INFO", "valid: batches hold 3 of 3 utterances")]
    assert any('"train_nsentences": "3"' in message for message in caplog.messages)


def test_what_each_epoch_drops_at_its_end_is_logged(corpus, pretrained, tmp_path, caplog):
    changes = dict(optimization__skip_remainder_batch=True, dataset__batch_size=2)
    lines = dict(
        reversed(line) for line in run("wav2vec2_summarymixing", corpus, tmp_path, pretrained, caplog, **changes)
    )
    assert any("each epoch drops the last batch of each process" in line for line in lines)


def test_utterances_longer_than_the_task_takes_are_not_blamed_on_the_multiple(corpus, caplog):
    from fairseq import tasks
    from tiny import compose

    task = tasks.setup_task(compose(*RECIPES["wav2vec2_summarymixing"], settings("", corpus, ".")).task)
    task.load_dataset("train")
    dataset = task.dataset("train")
    longest = int(max(dataset.sizes))
    dataset.filter_indices_by_size = lambda indices, limit: (
        indices[dataset.sizes[indices] <= limit],
        indices[dataset.sizes[indices] > limit].tolist(),
    )
    limits = dict(max_positions=longest - 1, ignore_invalid_inputs=True, required_batch_size_multiple=8)
    task.get_batch_iterator(dataset, max_tokens=16 * 16000, **limits)
    (line,) = [message for message in caplog.messages if "batches hold" in message]
    assert "1 longer than the task or the model takes" in line and "left over" not in line


@pytest.mark.parametrize("recipe", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_uses_every_utterance(recipe):
    from omegaconf import OmegaConf

    assert OmegaConf.load(recipe).dataset.required_batch_size_multiple == 1
