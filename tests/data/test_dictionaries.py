"""Is a damaged dictionary refused by its line, and is what fairseq reads read alike?"""

import pytest

from fairseq_summarymixing.data.labels import read_counts
from fairseq_summarymixing.errors import UserError


@pytest.mark.parametrize(
    "text, message",
    [
        ("A 9\nB\n", ":2: expected 'symbol count', such as 'A 9'; found 'B'$"),
        ("A 9\n\nB 8\n", ":2: expected 'symbol count'"),
        ("A many\n", ":1: expected 'symbol count'"),
        ("A \u0663\n", ":1: expected 'symbol count'"),
        ("A 9\nB 8\nA 7\n", ":3: 'A' has an earlier line already: remove one$"),
        ("<pad> 9\n", ":1: fairseq adds <pad> to every dictionary: remove this line$"),
        ("", "is empty: expected 'symbol count' per line$"),
    ],
)
def test_a_damaged_dictionary_is_refused_by_its_line(text, message, tmp_path):
    (tmp_path / "dict.txt").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_counts(tmp_path / "dict.txt")


def test_counts_are_as_fairseq_reads_them(tmp_path):
    dictionary = pytest.importorskip("fairseq.data").Dictionary
    path = tmp_path / "dict.txt"
    path.write_text("A 9\nB C 8\nA 7 #fairseq:overwrite\n<unk> 3 #fairseq:overwrite\n| -2\n", encoding="utf-8")
    read = dictionary.load(str(path))
    assert dict(read_counts(path)) == {
        symbol: read.count[read.indices[symbol]] for symbol in ("A", "B C", "<unk>", "|")
    }
