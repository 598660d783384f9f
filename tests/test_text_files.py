"""Files that other programs wrote: byte order marks, UTF-16, line ends of any system."""

import codecs

import pytest

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.text_files import open_text, read_lines, read_text

ENCODINGS = {
    "plain": "".encode(),
    "utf-8-sig": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_one_text_is_read_from_every_encoding_and_line_end(tmp_path, encoding, end):
    codec = "utf-8" if encoding in ("plain", "utf-8-sig") else encoding
    (tmp_path / "file").write_bytes(ENCODINGS[encoding] + end.join(["é a", "\x0c\u2028b", ""]).encode(codec))
    assert read_text(tmp_path / "file") == "é a\n\x0c\u2028b\n"
    assert read_lines(tmp_path / "file") == ["é a", "\x0c\u2028b"]
    with open_text(tmp_path / "file", "r", encoding="utf-8") as lines:
        assert list(lines) == ["é a\n", "\x0c\u2028b\n"]


def test_a_last_line_without_an_end_and_an_empty_file(tmp_path):
    (tmp_path / "file").write_text("a\n\nb")
    assert read_lines(tmp_path / "file") == ["a", "", "b"]
    (tmp_path / "file").write_text("")
    assert read_lines(tmp_path / "file") == []


@pytest.mark.parametrize("content", [b"good\nna\xefve\n", codecs.BOM_UTF16_LE + b"a\0\n"])
def test_another_encoding_is_an_error_with_file_and_line(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match=r"file is not UTF-(8|16) text \(line [12], byte \d+\); save it as UTF-8"):
        read_text(tmp_path / "file")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32"])
def test_what_holds_nul_characters_is_no_text(tmp_path, encoding):
    (tmp_path / "file").write_bytes("a\nb\n".encode(encoding))
    with pytest.raises(UserError, match="file is no text: line 1 holds a NUL character; save it as UTF-8"):
        read_text(tmp_path / "file")


def test_a_file_that_cannot_be_read_is_an_error_with_its_name(tmp_path):
    with pytest.raises(UserError, match="cannot read .*none: No such file"):
        read_lines(tmp_path / "none")
    with pytest.raises(UserError, match="is a folder; expected a file"):
        read_lines(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_text(tmp_path / "none")
