"""``manifest folder`` with a corpus's own tables and lists."""

import os

import pytest
import soundfile

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.data.folder import make_manifests
from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.data.text_rules import text_rules
from fairseq_summarymixing.errors import UserError

HEAD = "client_id\tpath\tsentence\tup_votes\n"
COLUMNS = {"path": "path", "text": "sentence", "speaker": "client_id"}
LISTS = {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}


def paths(out, split):
    return [path for path, _ in read_manifest(out / f"{split}.tsv", check_files=True)[1]]


def lines(out, name):
    return (out / name).read_text(encoding="utf-8").splitlines()


@pytest.fixture
def common_voice(tmp_path, write_tone):
    """clips/clip_0 to clip_12 and train.tsv, dev.tsv, test.tsv in Common Voice's manner; clip_12 is in none."""
    folder = tmp_path / "cv"
    rows = []
    for number in range(13):
        write_tone(folder / "clips" / f"clip_{number}.wav", 0.2 + number / 100)
        rows.append(f'speaker{number // 4}\tclip_{number}.wav\tHe said "clip, {number}"\u2019s.\t2\n')
    for name, part in (("train", rows[:6]), ("dev", rows[6:9]), ("test", rows[9:12])):
        (folder / f"{name}.tsv").write_text(HEAD + "".join(part), encoding="utf-8")
    return folder


def with_lists(folder, **more):
    return {"columns": COLUMNS, "split_lists": {split: folder / name for split, name in LISTS.items()}, **more}


def test_published_splits_with_texts_from_their_own_tables(common_voice, tmp_path):
    out = tmp_path / "out"
    summary = make_manifests(
        common_voice / "clips", out, **with_lists(common_voice, case="lower", keep_characters="a-z'")
    )
    found = {split: paths(out, split) for split in LISTS}
    assert found["train"] == [f"clip_{number}.wav" for number in range(6)]
    assert found["valid"] == [f"clip_{number}.wav" for number in range(6, 9)]
    assert sorted(found["test"]) == sorted(f"clip_{number}.wav" for number in range(9, 12))
    assert lines(out, "train.wrd") == ["he said clip 's"] * 6
    assert lines(out, "dict.ltr.txt")[0] == "| 48"  # one dictionary, of all 12
    assert "train: 1.4 seconds, 6 recordings, 2 speakers" in summary
    assert "both in train and in valid: 1 speaker" in summary and "both in valid and in test: 1 speaker" in summary
    assert "in no list: 1 recording" in summary and "left out: 0 of 12 recordings" in summary


def test_all_splits_share_one_set_of_copies(common_voice, tmp_path):
    pytest.importorskip("scipy")
    make_manifests(common_voice / "clips", tmp_path / "out", **with_lists(common_voice, resample=16000))
    roots = {read_manifest(tmp_path / "out" / f"{split}.tsv", check_files=True)[0] for split in LISTS}
    assert roots == {str(tmp_path / "out" / "audio")}
    assert len(list((tmp_path / "out" / "audio").glob("*.flac"))) == 12  # what no list names is not copied


@pytest.mark.parametrize(
    "content",
    [
        "clip_3.wav\nclip_5\n\nclip_5\n",  # ids or paths, one twice
        "\ufeffclip_3.wav\r\nclip_5.wav\r\nclip_5\r\n",
        HEAD + "x\tclip_3.wav\tA\t0\nx\tclip_5.wav\tB\t0\nx\tclip_5.wav\tB\t0\n",
        'sentence,path,client_id\n"A, b",clip_3.wav,x\n"B\nb",clip_5.wav,x\n"B\nb",clip_5.wav,x\n',
        "sentence;path;client_id\nA;clip_3.wav;x\nB;clip_5.wav;x\nB;clip_5.wav;x\n",
    ],
)
def test_a_list_is_ids_or_paths_or_a_table_with_a_header(common_voice, tmp_path, content):
    (tmp_path / "list").write_text(content, encoding="utf-8")
    columns = {"path": "path", "text": "sentence"} if "sentence" in content else {}
    make_manifests(
        common_voice / "clips", tmp_path / "out", split_lists={"train_1h": tmp_path / "list"}, columns=columns
    )
    assert paths(tmp_path / "out", "train_1h") == ["clip_3.wav", "clip_5.wav", "clip_5.wav"]
    if columns:
        assert [line[0] for line in lines(tmp_path / "out", "train_1h.wrd")] == ["A", "B", "B"]


def test_a_table_with_labels_and_speakers_and_percents(common_voice, tmp_path):
    rows = [f"clip_{number},spk{number % 6},{['sad', 'very happy', ''][number % 3]}\n" for number in range(12)]
    (tmp_path / "table.csv").write_text("id,who,emotion\n" + "".join(rows))
    columns = {"path": "id", "speaker": "who", "label": "emotion"}
    options = {"transcripts": tmp_path / "table.csv", "columns": columns, "split_by": "speaker", "valid_percent": 50}
    summary = make_manifests(common_voice / "clips", tmp_path / "out", **options)
    labels = {split: lines(tmp_path / "out", f"{split}.cls") for split in ("train", "valid")}
    assert sorted(labels["train"] + labels["valid"]) == ["sad"] * 4 + ["very_happy"] * 4
    assert summary.count(" speaker") == 2 and "both in" not in summary
    assert not (tmp_path / "out" / "train.wrd").exists()
    report = (tmp_path / "out" / "report.tsv").read_text()
    assert "clip_2.wav\tno label\n" in report and "clip_12.wav\tno speaker\n" in report


def test_lines_without_a_recording_are_reported(common_voice, tmp_path):
    (common_voice / "clips" / "clip_0.wav").unlink()
    (common_voice / "clips" / "clip_1.wav").write_bytes(b"")
    summary = make_manifests(common_voice / "clips", tmp_path / "out", **with_lists(common_voice))
    report = (tmp_path / "out" / "report.tsv").read_text()
    assert "clip_0.wav\tlisted in train, without a recording\n" in report and "clip_1.wav\tempty file" in report
    assert "left out: 1 of 11 recordings" in summary and "1 other line there" in summary


def test_the_command_line_takes_lists_and_columns(common_voice, tmp_path, capsys):
    lists = [f"{split}={common_voice / name}" for split, name in LISTS.items()]
    columns = [f"{field}={name}" for field, name in COLUMNS.items()]
    arguments = ["--split-list", *lists, "--columns", *columns, "--case", "upper", "--keep-characters", "A-Z"]
    assert main(["manifest", "folder", str(common_voice / "clips"), str(tmp_path / "out"), *arguments]) == 0
    assert lines(tmp_path / "out", "train.ltr")[0] == "H E | S A I D | C L I P | S |"
    assert "6 recordings, 2 speakers" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["manifest", "folder", "SRC", "OUT", "--columns", "path"])
    assert "expected NAME=VALUE; found 'path'" in capsys.readouterr().err
    assert main(["manifest", "folder", str(common_voice), str(tmp_path / "out2"), "--split-list", *lists]) == 1
    error = capsys.readouterr().err
    assert "train.tsv:1: expected one recording per line" in error and "--columns" in error


def test_only_the_valid_split(common_voice, tmp_path):
    make_manifests(common_voice / "clips", tmp_path / "out", valid_percent=100)
    assert len(paths(tmp_path / "out", "valid")) == 13 and not (tmp_path / "out" / "train.tsv").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"valid_percent": 5}, "leave out `valid_percent`"),
        (
            {"columns": {**COLUMNS, "text": "text"}},
            "train.tsv:1: there is no column 'text'; its columns are client_id, path",
        ),
        ({"columns": {"text": "sentence"}}, "must name a column for path"),
        ({"columns": {**COLUMNS, "mood": "x"}}, "must name a column for path, and may for text, speaker, label"),
        ({"split_lists": {"a/b": "train.tsv"}}, "'a/b' is no name of a split"),
        ({"transcripts": "sidecar"}, "sidecar and a column for text"),
        ({"split_lists": {"train": "short.tsv"}}, "short.tsv:3: expected 4 columns, as in the header; found 2"),
        ({"split_lists": {"train": "long.tsv"}}, "long.tsv:2: expected 4 columns, as in the header; found 5"),
        (
            {"split_lists": {"train": "nameless.tsv"}},
            "nameless.tsv:2: expected a recording in the column 'path'; found nothing",
        ),
        ({"split_lists": {"train": "head.tsv"}}, "head.tsv holds a header only"),
        ({"split_lists": {"train": "twice.tsv"}}, "twice.tsv has two different lines for 'clip_1.wav'"),
        (
            {"split_lists": {"train": "train.tsv", "test": "other.tsv"}},
            "differ about clip_1.wav: let one of them",
        ),
        ({"split_lists": {"train": "elsewhere.tsv"}}, "fits a recording: it names 'zz.wav', SRC holds 'clip_0.wav'"),
        ({"split_lists": {"train": "open.csv"}}, "open.csv:2: a quoted cell that does not end with its closing quote"),
        ({"split_lists": {"train": "swallowing.csv"}}, "swallowing.csv:2: a quoted cell that does not end with its"),
        ({"split_lists": {"train": "doubled.csv"}}, "doubled.csv:1: 2 columns are called 'path': rename all but one"),
        ({"split_lists": {"train": "empty.txt"}, "columns": {}}, "empty.txt names no recordings"),
        ({"split_lists": {"train": "none.txt"}, "columns": {}}, "cannot read .*none.txt"),
        ({"split_lists": {}}, "`columns` needs a table"),
        ({"case": "title"}, "`case` must be upper or lower"),
        ({"case": "upper", "columns": {"path": "path"}}, "`case` needs transcripts: name a table in `transcripts`"),
        ({"keep_characters": "A-Z", "columns": {"path": "path"}}, "`keep_characters` needs transcripts"),
        ({"keep_characters": "z-a"}, "`keep_characters` 'z-a' is no set of characters"),
        ({"keep_characters": "xyz"}, "can be used, of 12 .* no transcript: none of its characters"),
        ({"min_seconds": 0.27, "split_lists": {"train": "dev.tsv", "valid": "first.tsv"}}, "list of valid can be used"),
    ],
)
def test_lists_and_columns_that_cannot_work_are_one_clear_line(common_voice, tmp_path, options, message):
    rows = {
        "short": "s\tclip_1.wav\tA\t0\ns\tclip_2.wav\n",
        "long": "s\tclip_1.wav\tA\t0\t0\n",
        "nameless": "s\t\tA\t0\n",
        "head": "",
        "twice": "s\tclip_1.wav\tA\t0\ns\tclip_1.wav\tB\t0\n",
        "other": "s\tclip_1.wav\tanother text\t0\n",
        "elsewhere": "s\tzz.wav\tA\t0\n",
        "first": "speaker0\tclip_0.wav\tA\t0\n",
    }
    for name, content in rows.items():
        (common_voice / f"{name}.tsv").write_text(HEAD + content)
    (common_voice / "empty.txt").write_text("\n")
    (common_voice / "open.csv").write_text("client_id,path,sentence\n" + 's,clip_1.wav,"A\n' + "s,clip_2.wav,B\n" * 30)
    (common_voice / "swallowing.csv").write_text(
        "client_id,path,sentence,x\n" + 's,clip_1.wav,"A B,0\ns,clip_2.wav,"C D,0\n'
    )
    (common_voice / "doubled.csv").write_text("client_id,path,sentence,path\ns,clip_1.wav,A,b.wav\n")
    options = with_lists(common_voice, **options)
    options["split_lists"] = {split: common_voice / name for split, name in options["split_lists"].items()}
    with pytest.raises(UserError, match=message) as caught:
        make_manifests(common_voice / "clips", tmp_path / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "train.tsv").exists()


@pytest.mark.parametrize(
    "case, keep, text, expected",
    [
        (None, None, "Don\u2019t, e\u0301 ", "Don\u2019t, \u00e9"),
        ("upper", None, "straße", "STRASSE"),
        ("upper", "A-Z'", "Don\u2019t stop-now, 2 times", "DON'T STOP NOW TIMES"),
        ("lower", "a-z\u2019", "Don\u2019t", "don\u2019t"),
        ("lower", "a-zn\u0303", "An\u0303o-\u00d1O!", "a\u00f1o \u00f1o"),
        ("lower", r"\w'", "L'ÉTÉ?", "l'été"),
        (None, "A-Z", "abc", ""),
    ],
)
def test_text_rules(case, keep, text, expected):
    assert text_rules(case, keep)(text) == expected


def test_the_length_of_a_copy_is_that_of_the_file(common_voice, tmp_path):
    pytest.importorskip("scipy")
    make_manifests(common_voice / "clips", tmp_path / "out", **with_lists(common_voice, resample=16000))
    root, rows = read_manifest(tmp_path / "out" / "test.tsv")
    assert all(soundfile.info(os.path.join(root, path)).frames == frames for path, frames in rows)


@pytest.mark.parametrize("option", ["--split-list", "--columns"])
def test_a_split_or_column_that_is_named_twice_is_refused(option, tmp_path, capsys):
    command = ["manifest", "folder", str(tmp_path), str(tmp_path / "out"), option, "path=a", "path=b"]
    assert main(command) == 1
    assert (
        capsys.readouterr().err == f"error: {option} names path twice; expected each once: join lists into one file\n"
    )
