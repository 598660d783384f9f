"""Are millions of rows read as few are, with the memory of their text and 24 bytes each?"""

import tracemalloc

import pytest

from fairseq_summarymixing.data.manifest import read_manifest
from fairseq_summarymixing.data.manifest_arrays import read_manifest_arrays
from fairseq_summarymixing.errors import UserError

ROWS = {
    "plain": ["a.wav\t12", "b/c d.flac\t7", "a.wav\t12", "../é.ogg\t9999999999"],
    "in a zip": ["x.zip:30:4000\t12", "y.zip:0:1\t3"],
    "more digits": ["a.wav\t12", "b.wav\t00000000000012"],
    "spaces around": ["  a.wav\t12  ", "b.wav\t7"],
    "another alphabet": ["é.wav\t12", "\u3000録音.wav\t7"],
}


def rows_of(path):
    root, rows = read_manifest_arrays(path)
    paths = [rows.text[begin:end].tobytes().decode() for begin, end in zip(rows.begins, rows.ends)]
    return root, list(zip(paths, rows.frames.tolist()))


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_rows_are_those_that_are_read_line_by_line(kind, end, encoding, tmp_path):
    path = tmp_path / "train.tsv"
    text = (end or "\n").join([str(tmp_path), *ROWS[kind]]) + end
    path.write_bytes(text.encode(encoding))
    assert rows_of(path) == read_manifest(path) and len(rows_of(path)[1]) == len(ROWS[kind])


@pytest.mark.parametrize(
    "row",
    ["", "a.wav", "a.wav 12", "a.wav\t12\t13", "a.wav\t", "\t12", "a.wav\ttwelve", "a.wav\t1 2", "a.wav\t-5"]
    + ["a.wav\t0", "a.wav\t1/2", "a.wav\t1:2", "a.wav\t99999999999", "/data/a.wav\t12"]
    + ["x.zip:12\t12", "x.zip:1:2.wav\t3"],
)
def test_a_damaged_row_is_refused_as_line_by_line(row, tmp_path):
    path = tmp_path / "train.tsv"
    for rows in ([row, "b.wav\t7"], ["b.wav\t7", row, "c.wav\t7\t7"], ["b.wav\t7", row]):
        path.write_text("\n".join([str(tmp_path), *rows, ""]))
        with pytest.raises(UserError) as expected:
            read_manifest(path)
        with pytest.raises(UserError) as found:
            read_manifest_arrays(path)
        assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("content", [None, "", "\n", "/nowhere\na.wav\t1\n", "a\tb\na.wav\t1\n", ".\n", "."])
def test_a_manifest_without_root_or_rows_is_refused_as_line_by_line(content, tmp_path):
    path = tmp_path / "train.tsv"
    if content is not None:
        path.write_text(content)
    messages = []
    for read in (read_manifest, read_manifest_arrays):
        with pytest.raises(UserError) as caught:
            read(path)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_ten_million_rows_take_their_text_and_24_bytes_each(tmp_path):
    """Counted on fewer: what each further row takes."""

    def measure(number):
        path = tmp_path / "train.tsv"
        rows = (f"speaker-{i % 991:05d}/{i:08d}.flac\t160000\n" for i in range(number))
        path.write_text(f"{tmp_path}\n" + "".join(rows))
        tracemalloc.start()
        rows = read_manifest_arrays(path)[1]
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(rows.frames) == number
        return held, peak

    few, many = 50_000, 250_000
    held, peak = ((b - a) / (many - few) for a, b in zip(measure(few), measure(many)))
    row = len("speaker-00000/00000000.flac\t160000\n")
    assert held == pytest.approx(row + 24, abs=1)
    assert peak < 3 * row + 24
