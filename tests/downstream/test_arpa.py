"""Is a language model's file refused that KenLM would not survive?"""

import codecs

import pytest

pytest.importorskip("fairseq", reason="the package downstream needs it")

from fairseq_summarymixing.downstream.arpa import arpa_words, check_language_model
from fairseq_summarymixing.errors import UserError

ARPA = (
    "\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n-1\t<s>\t0\n-1\t</s>\n-1\tA\t0\n\n\\2-grams:\n-1\tA A\n\n\\end\\\n"
)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", [ARPA, "\n\n" + ARPA, ARPA.replace("\n", "\r\n"), ARPA.replace("2=1", "2=0")])
def test_a_possible_header_is_accepted(text, tmp_path):
    path = write(tmp_path / "lm.arpa", text)
    check_language_model(path)
    assert arpa_words(path) == {"<s>", "</s>", "A"}


@pytest.mark.parametrize("head", [b"mmap lm http://kheafield.com/code format version 5\n\0", b"\x1f\x8b", b"BZh9"])
def test_what_is_no_text_is_left_to_kenlm(head, tmp_path):
    check_language_model(write(tmp_path / "lm", head + bytes(100)))


@pytest.mark.parametrize(
    "text, message",
    [
        (ARPA.replace("1=3", "1=-3"), "lm.arpa:2: expected 'ngram 1=COUNT' .* found 'ngram 1=-3'"),
        (ARPA.replace("2=1", "2=-1"), "lm.arpa:3: expected 'ngram 2=COUNT'"),
        (ARPA.replace("1=3", "1=0"), "lm.arpa:2"),
        (ARPA.replace("1=3", "1=99999999999999"), "lm.arpa:2: .* at most 2\\d; found 'ngram 1=99999999999999'"),
        (ARPA.replace("1=3", "1=" + "9" * 5000), "lm.arpa:2"),
        (ARPA.replace("1=3", "1=nan"), "lm.arpa:2"),
        (ARPA.replace("ngram 2", "ngram 3"), "lm.arpa:3: expected 'ngram 2=COUNT'"),
        (ARPA.replace("ngram 1=3\n", ""), "lm.arpa:2: expected 'ngram 1=COUNT'"),
        ("\\data\\\n\n\\end\\\n", "declares no n-grams"),
        ("", "lm.arpa cannot be read: expected ARPA"),
        ("\n" * 5000, "lm.arpa cannot be read: expected ARPA"),
        ("these are words", "lm.arpa cannot be read: expected ARPA"),
        (bytes(range(256)) * 10, "lm.arpa cannot be read: expected ARPA"),
        (codecs.BOM_UTF8 + ARPA.encode(), "begins with a byte order mark"),
        (ARPA.encode("utf-16"), "begins with a byte order mark"),
    ],
)
def test_an_impossible_header_is_an_error_with_its_line(text, message, tmp_path):
    with pytest.raises(UserError, match=message):
        check_language_model(write(tmp_path / "lm.arpa", text))
