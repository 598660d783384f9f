import pytest

from fairseq_summarymixing.data.transcripts import RecordingIndex, clean, dictionary, letters, match_table, read_table
from fairseq_summarymixing.errors import UserError


def test_letters_are_fairseqs_format():
    assert letters("HELLO YOU") == "H E L L O | Y O U |"
    assert letters("I") == "I |"


def test_letters_give_the_words_back():
    text = "DON'T SEE Y ÑU"
    assert "".join(letters(text).split()).replace("|", " ").strip() == text


def test_a_word_end_in_the_text_is_refused():
    with pytest.raises(ValueError, match="word"):
        letters("A|B")


def test_the_dictionary_counts_symbols_most_frequent_first_then_by_symbol():
    assert dictionary(["B A |", "A C |"]) == ["A 2", "| 2", "B 1", "C 1"]


def test_clean_joins_lines_and_composes_accents():
    assert clean(" two\n  words\u00a0e\u0301 ") == "two words \u00e9"


def table(tmp_path, content):
    path = tmp_path / "table.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_table_with_a_byte_order_mark_and_windows_line_ends_reads(tmp_path):
    assert read_table(table(tmp_path, b"\xef\xbb\xbfa\tONE TWO\r\nb\tTHREE\r\n\r\n")) == {
        "a": "ONE TWO",
        "b": "THREE",
    }


@pytest.mark.parametrize(
    "content, message",
    [
        ("a\tONE\nb TWO\n", ":2: expected 'recording<TAB>text'"),
        ("\tONE\n", ":1: expected"),
        ("id\tpath\ttext\n", ":1: expected .* found 3 columns, .*name the columns in `columns`"),
        ("a\tONE\na\tTWO\n", ":2: 'a' has a transcript"),
        ("\n", "no transcripts"),
        (b"a\t\xff\xfe\n", "not UTF-8"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read_table(table(tmp_path, content))


def test_a_missing_table_is_one_clear_error(tmp_path):
    with pytest.raises(UserError, match="cannot read .*none.tsv: No such file"):
        read_table(tmp_path / "none.tsv")


@pytest.mark.parametrize("key", ["s/a.wav", "./s/a.wav", "s/a", "a.wav", "a"])
def test_a_recording_may_be_named_four_ways(key):
    assert match_table({key: "ONE"}, RecordingIndex(["s/a.wav", "s/b.wav"]), "t.tsv") == ({"s/a.wav": "ONE"}, [])


@pytest.mark.parametrize("key", ["a.mp3", "clips/a.mp3", "cy/clips/a", "/data/cy/clips/a.mp3"])
def test_a_path_may_begin_with_the_folders_of_its_root(key):
    index = RecordingIndex(["a.mp3", "b/a.mp3"], "/data/cy/clips")
    assert index.find(key, "t.tsv") == "a.mp3"
    assert index.find("b/a.mp3", "t.tsv") == index.find("/data/cy/clips/b/a", "t.tsv") == "b/a.mp3"
    assert (
        index.find("eu/clips/a.mp3", "t.tsv")
        is index.find("/data/a.mp3", "t.tsv")
        is index.find("data/cy/a.mp3", "t.tsv")
        is None
    )


def test_transcripts_without_a_recording_are_handed_back():
    assert match_table({"a": "ONE", "z": "TWO"}, RecordingIndex(["a.wav"]), "t.tsv") == ({"a.wav": "ONE"}, ["z"])


def test_a_name_that_fits_two_recordings_asks_for_relative_paths():
    with pytest.raises(UserError, match="fits 2 recordings, such as s/a.wav and t/a.wav.*relative paths"):
        match_table({"a": "ONE"}, RecordingIndex(["s/a.wav", "t/a.wav"]), "t.tsv")


def test_two_transcripts_for_one_recording_are_refused():
    with pytest.raises(UserError, match="t.tsv: two lines fit a.wav, those of 'a' and 'a.wav'"):
        match_table({"a": "ONE", "a.wav": "TWO"}, RecordingIndex(["a.wav"]), "t.tsv")
