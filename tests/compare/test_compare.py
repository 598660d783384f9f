import json
import os
import re

import pytest
import torch

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.compare.curves import read_curves
from fairseq_summarymixing.compare.plots import line_styles
from fairseq_summarymixing.compare.references import read_reference, shipped
from fairseq_summarymixing.compare.report import compare
from fairseq_summarymixing.compare.runs import FINETUNING, PRETRAINING, read_run, read_runs
from fairseq_summarymixing.compare.tables import table
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.tables import markdown

HEAD = "[2026-01-01 10:00:00,000]"


def inner(update, loss=6.0, **more):
    """A line of hydra's log, as fairseq writes it every log_interval updates."""
    values = {"loss": loss, "accuracy": 0.1, "code_perplexity": 12.0, "ups": 2.0, "wps": 200.0, "wpb": 100.0}
    values = {**values, "num_updates": update, "wall": 10, **more}
    record = {
        "epoch": 1,
        "update": 0.5,
        **{key: str(value) for key, value in values.items() if value is not None},
    }
    return f"{HEAD}[train_inner][INFO] - {json.dumps(record)}\n"


def valid(update, loss=5.0, subset="valid", **more):
    values = {"loss": loss, "accuracy": 0.2, "code_perplexity": 15.0, "num_updates": update, **more}
    record = {
        "epoch": 1,
        **{f"{subset}_{key}": str(value) for key, value in values.items() if value is not None},
    }
    return f"{HEAD}[{subset}][INFO] - {json.dumps(record)}\n"


def heading(model="wav2vec2", mixer=None):
    fields = f"'num_negatives': 9{f', {chr(39)}mixer{chr(39)}: {mixer}' if mixer else ''}"
    return (
        f"{HEAD}[fairseq_cli.train][INFO] - {{'_name': None, 'model': {{'_name': '{model}', "
        f"'extractor_mode': layer_norm, {fields}}}, 'task': {{}}}}\n"
        f"{HEAD}[fairseq_cli.train][INFO] - num. shared model params: 95,044,608 (num. trained: 95,044,608)\n"
    )


@pytest.fixture
def write(tmp_path):
    def make(name, *parts, log="train.log"):
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / log).write_text("".join(parts))
        return folder

    return make


def write_decode(folder, wer=12.5, interval=(11.0, 14.0), split="test", name="checkpoint_best-test"):
    out = folder / "checkpoints" / "decode" / name
    out.mkdir(parents=True)
    (out / "result.json").write_text(json.dumps({"wer": wer, "wer_ci": interval, "split": split}))


def finetuning(write, name="fine"):
    lines = [
        inner(update, 50.0 - update / 10, accuracy=None, code_perplexity=None, nll_loss=2.0) for update in (10, 20)
    ]
    last = valid(20, 40.0, accuracy=None, code_perplexity=None, wer=33.3, uer=10.0)
    folder = write(name, heading("wav2vec_ctc"), *lines, last)
    write_decode(folder)
    return folder


def test_a_run_is_read_from_its_log_alone(write):
    run = read_run(write("run", heading(), inner(10), valid(10), inner(20, 5.5), valid(20, 4.5)), "run")
    assert run.kind == PRETRAINING
    assert run.architecture == "wav2vec2 / self_attention"
    assert run.parameters == 95044608
    assert run.updates == 20
    assert run.values("loss") == ([10, 20], [6.0, 5.5])
    assert run.last("loss", valid=True) == 4.5
    assert run.chance_accuracy == pytest.approx(0.1)
    assert run.notes == []


def test_fine_tuning_that_logs_the_model_it_starts_from_stays_fine_tuning(write):
    lines = heading("wav2vec_ctc"), heading("wav2vec2_summarymixing", "summary_mixing"), inner(10, accuracy=None)
    run = read_run(write("run", *lines), "run")
    assert run.kind == FINETUNING
    assert run.architecture == "wav2vec2_summarymixing / summary_mixing"


def test_common_log_file_has_bare_lines_many_times_over(write):
    """fairseq adds the file's handler once per epoch, and every handler writes every line."""
    bare = [line.split(" - ", 1)[1] for line in (inner(10), inner(20, 5.0), valid(20))]
    run = read_run(write("run", bare[0], bare[1] * 2, bare[2] * 3), "run")
    assert run.values("loss") == ([10, 20], [6.0, 5.0])
    assert run.values("loss", valid=True) == ([20], [5.0])
    assert run.notes == []


def test_after_a_restart_the_later_values_count(write):
    before = [inner(update, 6.0) for update in (10, 20, 30, 40)] + [valid(40, 5.9)]
    after = [inner(update, 4.0) for update in (20, 30)] + [valid(30, 3.9)]
    run = read_run(write("run", *before, heading(), *after), "run")
    assert run.values("loss") == ([10, 20, 30], [6.0, 4.0, 4.0])
    assert run.values("loss", valid=True) == ([30], [3.9])
    assert "went back to update 20" in run.notes[0]


def test_logs_of_one_run_in_several_files_are_joined_oldest_first(write):
    folder = write("run", inner(10, 6.0), inner(20, 6.0), log="b.log")
    write("run", inner(20, 4.0), inner(30, 4.0), log="a.log")
    os.utime(folder / "b.log", (1, 1))
    assert read_run(folder, "run").values("loss") == ([10, 20, 30], [6.0, 4.0, 4.0])


def test_a_line_cut_short_is_left_out_with_a_note(write):
    run = read_run(write("run", inner(10), inner(20)[:90]), "run")
    assert run.values("loss")[0] == [10]
    assert "1 unreadable line left out" in run.notes[0]


def test_values_that_are_no_numbers_are_noted_and_drawn_as_gaps(write, tmp_path):
    folder = write("run", heading(), inner(10), inner(20, "nan"), inner(30, "inf"), valid(30, "nan"))
    run = read_run(folder, "run")
    assert "training loss is not a number at 2 log lines, first at update 20" in run.notes[0]
    compare([folder], tmp_path / "out")
    assert "not a number" in (tmp_path / "out" / "compare.md").read_text()
    assert "NaN" not in (tmp_path / "out" / "compare.json").read_text()


def test_end_of_epoch_values_do_where_there_are_no_others(write):
    run = read_run(write("run", valid(100, subset="train", loss=3.0), valid(100)), "run")
    assert run.last("loss") == 3.0
    assert "end-of-epoch" in run.notes[0]


def test_two_validation_sets_are_distinguished(write):
    run = read_run(write("run", inner(10), valid(10, 1.0, "dev_clean"), valid(10, 2.0, "dev_other")), "run")
    assert (run.valid_subset, run.last("loss", valid=True)) == ("dev_clean", 1.0)
    assert "dev_other" in run.notes[0]


def test_seconds_per_update_are_the_median_without_the_first_line(write):
    ups = [0.1, 2.0, 4.0, 2.0]
    lines = [inner(10 * index, ups=value, wps=None) for index, value in enumerate(ups, start=1)]
    assert read_run(write("run", *lines), "run").seconds_per_update == 0.5


def test_slow_updates_are_not_rounded_to_two_decimals(write):
    lines = [inner(update, ups=0.03, wps=3440.0, wpb=100000.0) for update in (10, 20)]
    assert read_run(write("run", *lines), "run").seconds_per_update == pytest.approx(100000 / 3440)


def test_peak_memory_is_what_was_logged_or_what_was_not_free(write):
    logged = [inner(10, peak_memory_gb=7.5), inner(20, peak_memory_gb=8.25)]
    assert read_run(write("ours", *logged), "ours").peak_memory_gb == 8.25
    gpu = f"{HEAD}[fairseq.utils][INFO] - rank   0: capabilities =  9.0  ; total memory = 79.100 GB ; name = X\n"
    free = [inner(10, gb_free=60.1), inner(20, gb_free=59.1), inner(30, gb_free=61.0)]
    assert read_run(write("stock", gpu, *free), "stock").peak_memory_gb == pytest.approx(20 * 2**30 / 1e9)
    assert read_run(write("cpu", inner(10)), "cpu").peak_memory_gb is None


def test_the_checkpoint_gives_model_mixer_and_parameters(write):
    folder = write("run", inner(10))
    (folder / "checkpoints").mkdir()
    model = {"_name": "wav2vec2_summarymixing", "mixer": "summary_mixing", "num_negatives": 100}
    state = {"cfg": {"model": model}, "model": {"weight": torch.zeros(3, 4), "bias": torch.zeros(4)}}
    torch.save(state, folder / "checkpoints" / "checkpoint_last.pt")
    run = read_run(folder, "run")
    assert run.architecture == "wav2vec2_summarymixing / summary_mixing"
    assert run.parameters == 16
    assert run.chance_accuracy == pytest.approx(1 / 101)
    state["cfg"]["model"] = {"_name": "wav2vec_ctc", "w2v_args": {"model": model}}
    torch.save(state, folder / "checkpoints" / "checkpoint_last.pt")
    run = read_run(folder, "run")
    assert (run.kind, run.architecture) == (FINETUNING, "wav2vec2_summarymixing / summary_mixing")


def test_a_bad_checkpoint_is_a_note_and_the_next_is_read(write):
    folder = write("run", inner(10))
    (folder / "checkpoint_last.pt").write_bytes(b"")
    torch.save({"cfg": {"model": {"_name": "wav2vec2"}}, "model": {}}, folder / "checkpoint_best.pt")
    run = read_run(folder, "run")
    assert "checkpoint_last.pt is empty" in run.notes[0]
    assert run.model["_name"] == "wav2vec2"


def test_decode_results_are_found_and_broken_ones_noted(write):
    folder = finetuning(write)
    write_decode(folder, 20.0, (18.0, 22.0), "other", "checkpoint_best-other")
    broken = folder / "decode" / "result.json"
    broken.parent.mkdir()
    broken.write_text("{")
    write_decode(folder, None, None, "unlabelled", "checkpoint_best-unlabelled")
    run = read_run(folder, "fine")
    assert len(run.notes) == 1
    assert [decode["wer"] for decode in run.decodes] == [20.0, 12.5]
    assert "decode/result.json is no decode result" in run.notes[-1].replace(os.sep, "/")
    text = markdown(*table([run]))
    assert "other 20.0 (18.0 to 22.0); test 12.5 (11.0 to 14.0)" in text


def test_missing_and_empty_folders_are_one_clear_error(write, tmp_path):
    with pytest.raises(UserError, match="there is no run folder .*nowhere"):
        read_run(tmp_path / "nowhere", "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty has no \*.log file; .* tee -a .*empty/train.log or common.log_file="):
        read_run(tmp_path / "empty", "run")
    write("outer/inner", inner(10))
    with pytest.raises(UserError, match="there are inner.train.log"):
        read_run(tmp_path / "outer", "run")
    with pytest.raises(UserError, match="no JSON lines in train.log; train with common.log_format=json"):
        read_run(write("simple", "epoch 001 | loss 6.0\n"), "run")


def test_names_are_made_unique_or_asked_for(write):
    folders = [write("a/run", inner(10)), write("b/run", inner(10))]
    assert [run.name for run in read_runs(folders)] == ["a/run", "b/run"]
    assert [run.name for run in read_runs(folders, ["x", "y"])] == ["x", "y"]
    with pytest.raises(UserError, match="expected 2 names.*found 1"):
        read_runs(folders, ["x"])
    with pytest.raises(UserError, match="'x' 2 times"):
        read_runs(folders, ["x", "x"])
    with pytest.raises(UserError, match="given twice"):
        read_runs([folders[0], folders[0]])


def test_the_page_needs_nothing_but_itself(write, tmp_path):
    pytest.importorskip("matplotlib")
    pretraining = write("pre & <b>", heading(), inner(10, peak_memory_gb=3.0), inner(20), valid(20))
    out = tmp_path / "out"
    assert main(["compare", str(pretraining), str(finetuning(write)), "--out", str(out)]) == 0
    text = (out / "compare.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    sources = re.findall(r'(?:src|srcset)="([^"]*)"', text)
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert "pre &amp; &lt;b&gt;" in text and "<b>" not in text
    assert "Pre-training" in text and "Fine-tuning" in text
    plots = sorted(path.stem for path in out.glob("*.png"))
    assert len(sources) == 2 * len(plots)  # for a light and a dark page
    assert plots == [
        "finetuning-loss",
        "finetuning-updates-per-second",
        "finetuning-valid-wer",
        "finetuning-wer",
        "pretraining-accuracy",
        "pretraining-code-perplexity",
        "pretraining-loss",
        "pretraining-peak-memory",
        "pretraining-updates-per-second",
    ]
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_json_and_markdown_hold_the_numbers(write, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    pretraining = write("pre", heading("wav2vec2_summarymixing", "summary_mixing"), inner(10), inner(20), valid(20))
    compare([pretraining, finetuning(write)], out, ["ours", "tuned"])
    ours, tuned = json.loads((out / "compare.json").read_text())
    assert (ours["name"], ours["kind"], ours["parameters"]) == ("ours", "pre-training", 95044608)
    assert ours["train"]["20"]["loss"] == ours["train_loss"] == 6.0
    assert (tuned["valid_wer"], tuned["decodes"][0]["wer_ci"]) == (33.3, [11.0, 14.0])
    text = (out / "compare.md").read_text()
    assert "| ours | wav2vec2_summarymixing / summary_mixing | 95.0 M | 20 | 6.000 | 5.000 | 0.200 | 15.0 |" in text
    assert "| tuned |" in text and "12.5 (11.0 to 14.0)" in text


def test_a_run_keeps_its_colour_whatever_else_is_drawn(write):
    runs = read_runs([write(f"run{index}", inner(10)) for index in range(8)])
    styles = line_styles(runs)
    assert len(set(styles.values())) == 8
    assert styles["run1"] == line_styles(runs[:3])["run1"]


def test_what_no_run_logs_has_no_column(write):
    run = read_run(write("run", inner(10)), "run")
    headings, rows = table([run])
    assert "peak GB" not in headings and "valid loss" not in headings
    assert len(rows[0]) == len(headings)


def test_without_matplotlib_one_line_names_what_to_install(write, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert main(["compare", str(write("run", inner(10))), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: compare needs matplotlib, which cannot be imported")
    assert error.endswith("pip install 'fairseq-summarymixing[report]'\n") and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", ["activation_mb_per_audio_second", "saved_mb_per_second"])
def test_activation_memory_is_read_from_the_logs_of_every_version(key, write):
    run = read_run(write("run", inner(10, **{key: 7.5}), inner(20, **{key: 7.5})), "run")
    assert run.activation_mb_per_audio_second == 7.5
    headings, [row] = table([run])
    assert row[headings.index("activation MB / s of audio")] == "7.50"


def test_a_runs_curves_are_kept_as_text_and_drawn_below_another_run(write, tmp_path):
    pytest.importorskip("matplotlib")
    healthy = write("healthy", heading(), inner(10, "nan", gnorm=1.5, lr=0.001), inner(20), valid(20, 4.5))
    main(["compare", str(healthy), "--out", str(tmp_path / "first")])
    curves = tmp_path / "first" / "curves" / "healthy.jsonl"
    head, *lines = map(json.loads, curves.read_text().splitlines())
    assert (head["name"], head["kind"], head["parameters"]) == ("healthy", "pre-training", 95044608)
    assert [(line["split"], line["updates"], line["loss"]) for line in lines] == [
        ("train", 10, None),
        ("train", 20, 6.0),
        ("valid", 20, 4.5),
    ]
    back, run = read_curves(curves), read_run(healthy, "healthy")
    assert back.values("gnorm") == ([10], [1.5]) and back.values("loss", valid=True) == ([20], [4.5])
    assert (back.architecture, back.chance_accuracy) == (run.architecture, run.chance_accuracy)
    assert back.seconds_per_update == run.seconds_per_update

    own, out = write("own", heading(), inner(10, gnorm=2.0)), tmp_path / "second"
    assert main(["compare", str(own), "--out", str(out), "--reference", str(curves)]) == 0
    assert [run["name"] for run in json.loads((out / "compare.json").read_text())] == ["own", "reference healthy"]
    assert "reference healthy" in (out / "compare.html").read_text()
    assert {"pretraining-gradient-norm", "pretraining-learning-rate"} <= {path.stem for path in out.glob("*.png")}
    assert [path.name for path in (out / "curves").iterdir()] == ["own.jsonl"]


def test_a_reference_that_cannot_be_drawn_is_a_one_line_error(write, tmp_path, capsys):
    pretraining, tuned = write("pre", heading(), inner(10)), finetuning(write)
    compare([pretraining], tmp_path / "out")
    (tmp_path / "table.jsonl").write_text('{"step": 1}\n')
    curves = str(tmp_path / "out" / "curves" / "pre.jsonl")
    for names, message in [
        (["nowhere"], "--reference: nowhere is neither a file nor the name of curves that ship"),
        ([str(tmp_path / "table.jsonl")], "table.jsonl holds no curves: expected JSON lines of which the first is an"),
        ([curves], "pre.jsonl is of pre-training, and none of the runs is"),
    ]:
        options = [option for name in names for option in ("--reference", name)]
        assert main(["compare", str(tuned), "--out", str(tmp_path / "tuned"), *options]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "tuned").exists()
    with pytest.raises(UserError, match="`references`: reference pre is there twice"):
        compare([pretraining], tmp_path / "twice", references=[curves, curves])


@pytest.mark.parametrize("name", shipped())
def test_curves_that_ship_are_of_whole_runs_and_say_what_they_are(name):
    run = read_reference(name)
    assert run.about["description"] and run.values("loss")[0] and run.values("gnorm")[0] and run.values("lr")[0]
    if run.kind == PRETRAINING:
        assert run.last("accuracy", valid=True) > 10 * run.chance_accuracy


def write_probe(folder, task="classify"):
    result = {
        "description": "Probe classify (linear) & more",
        "task": task,
        "head": "linear",
        "splits": ["train", "valid", "test"],
        "checkpoints": [{"name": "ours", "layer_weights": [[0.2, 0.8], [0.4, 0.6]]}],
        "tables": [{"headings": ["checkpoint", "accuracy %"], "rows": [["ours <b>", "91.2"]]}],
        "notes": ["of ten classes"],
    }
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result))


def test_results_of_probe_are_shown_after_the_runs(write, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    run, out = write("run", heading(), inner(10), inner(20)), tmp_path / "out"
    write_probe(run / "probes" / "classify-linear")
    write_probe(run / "probes" / "ctc-linear", "ctc")
    assert read_run(run, "run").notes == [], "they are no decodes"
    assert main(["compare", str(run), "--probes", str(run / "probes"), "--out", str(out)]) == 0
    page, text = (out / "compare.html").read_text(encoding="utf-8"), (out / "compare.md").read_text()
    assert "Probe: classify, linear, train" in page and "ours &lt;b&gt;" in page and "& more" not in page
    assert page.index("Pre-training") < page.index("Probe: classify") < page.index("Probe: ctc")
    assert "| ours <b> | 91.2 |" in text and "- of ten classes" in text
    assert {path.name for path in out.glob("probe-*.png")} == {"probe-1-layer-weights.png", "probe-2-layer-weights.png"}
    assert main(["compare", str(run), "--probes", str(tmp_path), "--out", str(out)]) == 1
    assert "--probes: " in (error := capsys.readouterr().err) and "holds no result.json of probe" in error


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": 1}, "task is not of the right kind"),
        ({"checkpoints": []}, "checkpoints is not of"),
        ({"checkpoints": [{"name": "ours", "layer_weights": [[0.2, 0.8], [1]]}]}, "checkpoints is not of"),
        ({"tables": 3}, "tables is not of"),
        ({"tables": [{"headings": ["a", "b"], "rows": [["c"]]}]}, "tables is not of"),
        (b"\x80\0", "is not UTF-8 text"),
        (b"[" * 100000, "cannot be read as JSON"),
        (None, "is a named pipe; expected a file"),
    ],
)
def test_a_result_that_probe_did_not_write_is_one_line(change, message, write, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    run, out, path = write("run", heading(), inner(10)), tmp_path / "out", tmp_path / "probes" / "result.json"
    write_probe(path.parent)
    content = path.read_text()
    path.unlink()
    if change is None:
        os.mkfifo(path)
    else:
        whole = json.loads(content)
        path.write_bytes(change if isinstance(change, bytes) else json.dumps({**whole, **change}).encode())
    assert main(["compare", str(run), "--probes", str(path.parent), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert f"error: {path}" in error and message in error and error.count("\n") == 1 and not out.exists()


ODD_LINES = [
    '{"epoch": 1, "loss": "nan", "num_updates": "nan"}',
    '{"epoch": 1, "loss": "6", "num_updates": "inf"}',
    '{"epoch": 1, "loss": "6", "num_updates": "-3"}',
    '{"epoch": 1, "loss": "6", "num_updates": "1e300"}',
    '{"epoch": 1, "loss": "6", "num_updates": "many"}',
    '{"epoch": 1, "loss": 6}',
    '{"epoch": 1, "lo',
    '{"epoch": ' + "[" * 100000,
    '{"epoch": 1, "loss": ' + "9" * 5000 + ', "num_updates": 7}',
    "num. shared model params: " + "9" * 5000,
    "num. shared model params: ,",
    "total memory = ... GB",
    "'model': {'_name': 'wav2vec2', 'num_negatives': " + "9" * 5000,
    "\0\1\2\udcff",
]


@pytest.mark.parametrize("value", ["1e308", "-1e308", "inf", "nan", "1e-320", "[1]", "9" * 400])
def test_absurd_values_leave_a_page(value, write, tmp_path):
    pytest.importorskip("matplotlib")
    more = {key: value for key in ("accuracy", "code_perplexity", "ups", "wps", "wpb", "gb_free", "peak_memory_gb")}
    folder = write("run", heading(), inner(10, value, **more), valid(10, value), inner(20))
    compare([folder], tmp_path / "out")
    assert json.loads((tmp_path / "out" / "compare.json").read_text())[0]["updates"] == 20


def test_odd_lines_of_a_log_are_left_out_and_counted(write, tmp_path):
    folder = write("run", heading(), inner(10))
    with open(folder / "train.log", "ab") as file:
        file.write("\n".join([*ODD_LINES, ""]).encode(errors="surrogateescape"))
        file.write(inner(20).encode())
    run = read_run(folder, "run")
    assert run.updates == 20 and run.values("loss")[0] == [10, 20] and run.parameters == 95044608
    assert any("9 unreadable lines left out" in note for note in run.notes)


@pytest.mark.parametrize("text", ["", "\0" * 100, "a log of something else\n", "\n".join(ODD_LINES[:9])])
def test_a_log_without_a_usable_line_is_one_error(text, write, tmp_path, capsys):
    assert main(["compare", str(write("run", text)), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "no JSON lines in train.log" in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "result",
    ["", "[]", "3", "{", "[" * 100000, '{"wer": 1}', '{"wer": "x", "wer_ci": [1, 2]}', '{"wer": 1, "wer_ci": [1]}']
    + [
        '{"wer": NaN, "wer_ci": [1, 2]}',
        '{"wer": 1e400, "wer_ci": [1, 2]}',
        '{"wer": 1, "wer_ci": [1, 2], "cer": "x"}',
    ],
)
def test_a_decode_result_that_is_none_is_left_out(result, write):
    folder = finetuning(write)
    (folder / "result.json").write_text(result)
    run = read_run(folder, "run")
    assert len(run.decodes) == 1 and run.notes == ["result.json is no decode result; left out"]


def test_what_is_named_like_a_log_and_is_no_file_is_passed_over(write):
    folder = write("run", inner(10))
    (folder / "old.log").mkdir()
    os.mkfifo(folder / "pipe.log")
    os.mkfifo(folder / "result.json")
    assert read_run(folder, "run").updates == 10
