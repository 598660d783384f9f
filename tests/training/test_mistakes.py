"""Does a mistake that stock fairseq meets first end a run in one line, with what was there kept?"""

import resource
import signal
import subprocess

import pytest
import torch

pytest.importorskip("fairseq", reason="trains with fairseq")

from tiny import TINY_FINETUNING, TINY_PRETRAINING, command, start, train, write_corpus

from fairseq_summarymixing.errors import UserError

PRETRAINING = ("pretraining", "summarymixing_base_librispeech")
FINETUNING = ("finetuning", "base_10h")


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), clips=4)


@pytest.fixture(scope="module")
def pretrained(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    train(*PRETRAINING, pretraining(corpus, folder))
    return folder / "checkpoint_last.pt"


def pretraining(corpus, folder, **more):
    return {**TINY_PRETRAINING, **paths(corpus, folder), **dotted(more)}


def finetuning(corpus, folder, pretrained, **more):
    return {**TINY_FINETUNING, **paths(corpus, folder), "model.w2v_path": str(pretrained), **dotted(more)}


def paths(corpus, folder):
    return {"task.data": str(corpus), "checkpoint.save_dir": str(folder)}


def dotted(names):
    return {name.replace("__", "."): value for name, value in names.items()}


def damage(path, how, source):
    """A file at ``path`` that is no checkpoint of a pre-trained encoder."""
    if how == "cut short":
        path.write_bytes(source.read_bytes()[:-1000])
    elif how == "no checkpoint":
        path.write_text("this is text")
    elif how == "bare state dict":
        torch.save(torch.load(source, weights_only=False)["model"], path)
    elif how == "runs code":
        torch.save({"model": Evil(str(path.parent / "pwned"))}, path)
    return path


HOW = {
    "missing": "there is no checkpoint", "cut short": "is cut short", "no checkpoint": "no checkpoint",
    "bare state dict": "bare state dict", "runs code": "nothing in it was run",
}  # fmt: skip


@pytest.mark.parametrize("how", HOW)
def test_unusable_w2v_path(how, corpus, pretrained, tmp_path):
    path = damage(tmp_path / "pretrained.pt", how, pretrained)
    with pytest.raises(UserError, match=HOW[how]):
        train(*FINETUNING, finetuning(corpus, tmp_path / "run", path))
    assert not (tmp_path / "pwned").exists()


def test_w2v_path_of_a_fine_tuned_model(corpus, pretrained, tmp_path):
    train(*FINETUNING, finetuning(corpus, tmp_path / "first", pretrained))
    with pytest.raises(UserError, match="holds a model of type wav2vec_ctc; expected a pre-trained encoder"):
        train(*FINETUNING, finetuning(corpus, tmp_path / "second", tmp_path / "first" / "checkpoint_last.pt"))


@pytest.mark.parametrize("how", ["cut short", "no checkpoint", "bare state dict", "runs code"])
def test_resume_from_an_unusable_checkpoint(how, corpus, pretrained, tmp_path):
    path = damage(tmp_path / "checkpoint_last.pt", how, pretrained)
    before = path.read_bytes()
    with pytest.raises(UserError, match=HOW[how]):
        train(*PRETRAINING, pretraining(corpus, tmp_path))
    assert path.read_bytes() == before


def test_fields_left_open(corpus, tmp_path):
    with pytest.raises(UserError, match="task.data is missing: give the folder"):
        train(*PRETRAINING, pretraining("???", tmp_path))
    with pytest.raises(UserError, match="the configuration is not complete: .*w2v_path"):
        train(*FINETUNING, finetuning(corpus, tmp_path, "???"))


def test_resume_with_another_model(corpus, pretrained):
    before = pretrained.read_bytes()
    with pytest.raises(UserError, match="of another model than the recipe's"):
        train(*PRETRAINING, pretraining(corpus, pretrained.parent, model__encoder_embed_dim=64))
    assert pretrained.read_bytes() == before


def test_finetune_from_a_missing_model(corpus, tmp_path):
    with pytest.raises(UserError, match="there is no checkpoint checkpoint.finetune_from_model=nosuch.pt"):
        train(*PRETRAINING, pretraining(corpus, tmp_path, checkpoint__finetune_from_model="nosuch.pt"))


def test_max_tokens_below_a_clip(corpus, tmp_path):
    with pytest.raises(UserError, match="dataset.max_tokens"):
        train(*PRETRAINING, pretraining(corpus, tmp_path, dataset__max_tokens=5000))


def test_save_dir_that_cannot_be_written(corpus, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to checkpoint.save_dir"):
        train(*PRETRAINING, pretraining(corpus, tmp_path / "file" / "run"))


def spoilt(corpus, folder, **files):
    """A copy of the manifests with some files replaced, or with None left out."""
    folder.mkdir()
    for path in corpus.glob("*.*"):
        (folder / path.name).write_text(path.read_text())
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.unlink() if text is None else path.write_text(text)
    return folder


@pytest.mark.parametrize(
    "files, message",
    [
        (dict(train__ltr="A B |\nB A |\nA |\n"), "train.ltr has 3 lines, .*train.tsv names 4 files"),
        (dict(valid__ltr=None), "there are no labels .*valid.ltr"),
        (dict(valid__tsv=None), "there is no manifest .*valid.tsv"),
        (dict(dict__ltr__txt=None), "there is no dictionary .*dict.ltr.txt"),
    ],
)
def test_labels_that_do_not_match(files, message, corpus, pretrained, tmp_path):
    data = spoilt(corpus, tmp_path / "data", **files)
    with pytest.raises(UserError, match=message):
        train(*FINETUNING, finetuning(data, tmp_path / "run", pretrained))


def test_letters_outside_the_dictionary_are_told(corpus, pretrained, tmp_path, caplog):
    data = spoilt(corpus, tmp_path / "data", train__ltr="A Ü |\nB Ü |\nA ß |\nB A |\n")
    train(*FINETUNING, finetuning(data, tmp_path / "run", pretrained))
    assert "train.ltr are outside the dictionary and train as <unk>: 'Ü' (2), 'ß' (1)" in caplog.text


def last_lines(settings, recipe=PRETRAINING, **options):
    """Exit status of the command line, and what it printed after the log's last line."""
    process = subprocess.run(command(*recipe, settings), capture_output=True, text=True, timeout=240, **options)
    assert "Traceback" not in process.stdout + process.stderr, process.stderr[-3000:]
    return process.returncode, process.stderr.strip().splitlines()[-1]


def test_a_mistake_ends_the_command_in_one_line_and_status_1(corpus, tmp_path):
    settings = pretraining(corpus, tmp_path / "run", model__encoder_layer_drop=0.1)
    status, line = last_lines(settings, cwd=tmp_path)
    assert status == 1
    assert line == "error: wav2vec2_summarymixing has no field encoder_layer_drop; did you mean encoder_layerdrop?"


def test_a_full_disk_ends_in_one_line_and_keeps_the_checkpoints(corpus, pretrained, tmp_path):
    kept = tmp_path / "checkpoint_last.pt"
    kept.write_bytes(pretrained.read_bytes())

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    settings = pretraining(corpus, tmp_path, optimization__max_update=2, common__log_interval=100)
    status, line = last_lines(settings, cwd=tmp_path, preexec_fn=limit)
    assert status == 1 and line.startswith("error: cannot write") and "earlier checkpoints are kept" in line
    assert kept.read_bytes() == pretrained.read_bytes()


def test_ctrl_c_ends_in_one_line(corpus, tmp_path):
    process = start(*PRETRAINING, pretraining(corpus, tmp_path, optimization__max_update=10000))
    for line in process.stdout:
        if "num_updates" in line:
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert output.strip().splitlines()[-1].startswith("interrupted; run the same command to go on")
    assert "Traceback" not in output and process.returncode in (130, -signal.SIGINT)
