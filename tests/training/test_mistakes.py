"""Does a mistake that stock fairseq meets first end a run in one line, with what was there kept?"""

import resource
import signal
import subprocess

import pytest
import torch

pytest.importorskip("fairseq", reason="trains with fairseq")

from tiny import command, finetuning, pretraining, start, train, write_corpus

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.plugin import exits

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
    "missing": "there is no checkpoint",
    "cut short": "is cut short",
    "no checkpoint": "no checkpoint",
    "bare state dict": "bare state dict",
    "runs code": "nothing in it was run",
}


@pytest.mark.parametrize("how", HOW)
def test_unusable_w2v_path(how, corpus, pretrained, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = damage(tmp_path / "pretrained.pt", how, pretrained)
    with pytest.raises(UserError, match=HOW[how]):
        train(*FINETUNING, finetuning(corpus, tmp_path / "run", path))
    assert not (tmp_path / "pwned").exists()


def test_w2v_path_of_a_fine_tuned_model(corpus, pretrained, tmp_path):
    train(*FINETUNING, finetuning(corpus, tmp_path / "first", pretrained))
    with pytest.raises(UserError, match="holds a model of type wav2vec_ctc; expected a pre-trained encoder"):
        train(*FINETUNING, finetuning(corpus, tmp_path / "second", tmp_path / "first" / "checkpoint_last.pt"))


def test_other_normalisation_than_in_pretraining(corpus, pretrained, tmp_path):
    with pytest.raises(UserError, match="task.normalize differs from that of model.w2v_path"):
        train(*FINETUNING, finetuning(corpus, tmp_path, pretrained, task__normalize=True))


@pytest.mark.parametrize("how", ["cut short", "no checkpoint", "bare state dict", "runs code"])
def test_resume_from_an_unusable_checkpoint(how, corpus, pretrained, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = damage(tmp_path / "checkpoint_last.pt", how, pretrained)
    before = path.read_bytes()
    with pytest.raises(UserError, match=HOW[how]):
        train(*PRETRAINING, pretraining(corpus, tmp_path))
    assert path.read_bytes() == before


def test_fields_left_open(corpus, tmp_path):
    with pytest.raises(UserError, match="task.data is missing: give the folder"):
        train(*PRETRAINING, pretraining("???", tmp_path))
    with pytest.raises(UserError, match="model.w2v_path is left open .*: give it a value"):
        train(*FINETUNING, finetuning(corpus, tmp_path, "???"))


def test_resume_with_another_model(corpus, pretrained):
    before = pretrained.read_bytes()
    with pytest.raises(UserError, match="of another model than the recipe's"):
        train(*PRETRAINING, pretraining(corpus, pretrained.parent, model__encoder_embed_dim=64))
    assert pretrained.read_bytes() == before


@pytest.mark.parametrize("field", ["finetune_from_model", "restore_file"])
def test_start_from_a_missing_model(field, corpus, tmp_path):
    with pytest.raises(UserError, match=f"{field}[ =]nosuch.pt"):
        train(*PRETRAINING, pretraining(corpus, tmp_path, **{f"checkpoint__{field}": "nosuch.pt"}))


def test_a_resumed_run_does_not_need_the_model_it_began_from(corpus, pretrained, tmp_path):
    (tmp_path / "checkpoint_last.pt").write_bytes(pretrained.read_bytes())
    changes = dict(checkpoint__finetune_from_model="gone.pt", optimization__max_update=2)
    train(*PRETRAINING, pretraining(corpus, tmp_path, **changes))
    assert torch.load(tmp_path / "checkpoint_last.pt", weights_only=False)["optimizer_history"][-1]["num_updates"] == 2


def test_resume_in_an_epoch_of_other_batches(corpus, tmp_path):
    small = dict(dataset__batch_size=1, optimization__max_update=3)
    train(*PRETRAINING, pretraining(corpus, tmp_path, **small))
    with pytest.raises(UserError, match="go on with the next epoch by checkpoint.reset_dataloader=true"):
        train(*PRETRAINING, pretraining(corpus, tmp_path, dataset__batch_size=4, optimization__max_update=5))


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(model___name="wav2vec2_sumarymixing"), "no model wav2vec2_sumarymixing; did you mean wav2vec2_summary"),
        (dict(optimizer___name="adamm"), "there is no optimizer adamm; did you mean adam"),
        (dict(common__log_interval=0), "common.log_interval must be at least 1; got 0"),
        (dict(modell__encoder_layers=3), "the configuration has no field modell; did you mean model"),
        (dict(model__latent_temp=[1, 2]), "latent_temp must be .start, end, decay per update.; got .1.0, 2.0."),
    ],
)
def test_names_that_nothing_has(change, message, corpus, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(*PRETRAINING, pretraining(corpus, tmp_path, **change))


def test_the_copy_that_is_there_stays_when_a_new_one_fails(corpus, pretrained, tmp_path, monkeypatch):
    (tmp_path / "checkpoint_last.pt").write_bytes(pretrained.read_bytes())

    def stop(source, target, size):
        target.write(source.read(1000))
        raise KeyboardInterrupt

    monkeypatch.setattr("fairseq_summarymixing.plugin.saving.shutil.copyfileobj", stop)
    # a numbered checkpoint, of which checkpoint_last is then a copy
    numbered = dict(checkpoint__no_epoch_checkpoints=False, checkpoint__save_interval_updates=1)
    with pytest.raises(KeyboardInterrupt):
        train(*PRETRAINING, pretraining(corpus, tmp_path, optimization__max_update=2, **numbered))
    assert (tmp_path / "checkpoint_last.pt").read_bytes() == pretrained.read_bytes()


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
        (dict(train__ltr="A B |\nB A |\nA |\n"), "train.ltr has 3 lines but .*train.tsv has 4 rows"),
        (dict(train__ltr="A B |\n" * 4, dict__ltr__txt="Q 1\nX 1\n"), "outside the dictionary: .* of another corpus"),
        (dict(train__ltr="\n" * 4), "train.ltr holds no symbol, only empty lines"),
        (dict(valid__ltr="A <pad> |\n" * 4), "valid.ltr holds symbols that fairseq keeps for itself: <pad> .4.; leave"),
        (dict(dict__ltr__txt="A\n"), "dict.ltr.txt:1: expected .symbol count., such as .A 9.; found .A."),
        (dict(train__tsv="/nosuch\na.wav\t1\n"), "train.tsv:1: the folder /nosuch does not exist"),
        (dict(valid__ltr=None), "there are no labels .*valid.ltr"),
        (dict(valid__tsv=None), "there is no manifest .*valid.tsv"),
        (dict(dict__ltr__txt=None), "there is no dictionary .*dict.ltr.txt"),
    ],
)
def test_labels_that_do_not_match(files, message, corpus, pretrained, tmp_path):
    data = spoilt(corpus, tmp_path / "data", **files)
    with pytest.raises(UserError, match=message):
        train(*FINETUNING, finetuning(data, tmp_path / "run", pretrained))


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_files_with_byte_order_marks_other_line_ends_and_repeated_rows_train(
    codec, corpus, pretrained, tmp_path, caplog
):
    data = tmp_path / "data"
    data.mkdir()
    for path in corpus.glob("*.*"):
        lines = path.read_text().splitlines()
        repeated = {".tsv": lines + lines[1:], ".ltr": lines + lines}.get(path.suffix, lines)
        (data / path.name).write_bytes("\r\n".join([*repeated, ""]).encode(codec))
    train(*PRETRAINING, pretraining(data, tmp_path / "pretraining"))
    train(*FINETUNING, finetuning(data, tmp_path / "finetuning", pretrained))
    assert "outside the dictionary" not in caplog.text
    saved = torch.load(tmp_path / "finetuning" / "checkpoint_last.pt", weights_only=False)
    symbols = [line.split()[0] for line in (corpus / "dict.ltr.txt").read_text().splitlines()]
    assert saved["task_state"]["target_dictionary"].symbols[4:] == symbols


def test_letters_outside_the_dictionary_are_logged(corpus, pretrained, tmp_path, caplog):
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


@pytest.mark.parametrize(
    "how, message",
    [
        ("missing", "error: there is no checkpoint .*checkpoint.pt"),
        ("cut short", "error: .*checkpoint.pt is cut short"),
        (None, "error: there is no manifest .*nosuch.tsv"),
    ],
)
def test_a_mistake_ends_fairseqs_other_commands_in_one_line(how, message, corpus, pretrained, tmp_path, monkeypatch):
    import fairseq_cli.validate

    left = []
    monkeypatch.setattr(exits, "leave_at_exit", lambda status, message: left.append(status))
    path = damage(tmp_path / "checkpoint.pt", how, pretrained) if how else pretrained
    options = f"--user-dir fairseq_summarymixing --task wav2vec2_summarymixing --max-tokens 64000 --cpu --path {path}"
    subset = ["--valid-subset", "nosuch"]
    monkeypatch.setattr("sys.argv", ["/bin/fairseq-validate", str(corpus), *options.split(), *subset])
    with pytest.raises(SystemExit, match=message):
        fairseq_cli.validate.cli_main()
    assert left == [1]


@pytest.mark.parametrize(
    "program, is_fairseqs",
    [
        ("/venv/bin/fairseq-validate", True),
        ("/venv/lib/fairseq_cli/hydra_train.py", True),
        ("/venv/bin/fairseq-summarymixing", False),
        ("/home/me/train.py", False),
        ("", False),
    ],
)
def test_programs_that_are_fairseqs(program, is_fairseqs, monkeypatch):
    monkeypatch.setattr("sys.argv", [program])
    assert exits.is_run_by_fairseq() == is_fairseqs
