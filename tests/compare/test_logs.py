"""Is a training read from its logs, whoever wrote them and however they broke off?"""

import os

import pytest
from run_logs import HEAD, heading, inner, valid

from fairseq_summarymixing.compare.report import compare
from fairseq_summarymixing.compare.run import FINETUNING, PRETRAINING
from fairseq_summarymixing.compare.runs import read_run
from fairseq_summarymixing.compare.tables import table


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


def test_a_later_file_that_goes_back_replaces_what_earlier_files_hold_from_there_on(write):
    folder = write("run", *[inner(update, 5.0) for update in range(100, 1001, 100)], valid(500, 4.5), valid(1000, 4.0))
    os.utime(write("run", inner(800, 9.0), log="b.log") / "b.log", (3, 3))
    os.utime(folder / "train.log", (2, 2))
    run = read_run(folder, "run")
    assert (run.updates, run.last("loss"), run.last("loss", valid=True)) == (800, 9.0, 4.5)
    assert run.values("loss")[0] == [*range(100, 801, 100)]
    assert run.notes == ["b.log: went back to update 800 after a restart"]


def test_the_order_is_that_of_the_times_in_the_logs_for_copies_lack_those_of_their_files(write):
    later = [line.replace("2026-01-01", "2026-01-02") for line in (inner(30, 4.0), inner(40, 4.0))]
    folder = write("run", *later, log="a.log")
    write("run", *[inner(update, 6.0) for update in (10, 20, 30)], log="b.log")
    os.utime(folder / "a.log", (1, 1))
    assert read_run(folder, "run").values("loss") == ([10, 20, 30, 40], [6.0, 6.0, 4.0, 4.0])


def test_a_restart_whose_first_record_is_of_validation_has_one_note(write):
    folder = write("run", *[inner(update, 5.0) for update in (100, 200)], valid(200, 4.0))
    os.utime(folder / "train.log", (2, 2))
    run = read_run(write("run", valid(150, 4.5), inner(200, 9.0), log="b.log"), "run")
    assert (run.values("loss"), run.values("loss", valid=True)) == (([100, 200], [5.0, 9.0]), ([150], [4.5]))
    assert run.notes == ["b.log: went back to update 150 after a restart"]


def test_a_second_log_of_the_same_updates_is_no_restart(write):
    lines = [inner(10), inner(20, "nan"), valid(20), inner(30), valid(30)]
    once = read_run(write("once", *lines), "once")
    write("twice", *lines, log="hydra_train.log")
    twice = read_run(write("twice", *lines), "twice")
    assert (twice.train.keys(), twice.valid, twice.notes) == (once.train.keys(), once.valid, once.notes)


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


def test_activation_memory_is_read_from_the_logs(write):
    lines = [inner(update, activation_mb_per_audio_second=7.5) for update in (10, 20)]
    run = read_run(write("run", *lines), "run")
    assert run.activation_mb_per_audio_second == 7.5
    headings, [row] = table([run])
    assert row[headings.index("activation MB / s of audio")] == "7.50"
