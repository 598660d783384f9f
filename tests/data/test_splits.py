import pytest

from fairseq_summarymixing.data.splits import choose_split, split_percents, stable_fraction
from fairseq_summarymixing.errors import UserError


def test_the_split_is_the_same_on_every_machine_and_in_every_version():
    assert [
        choose_split(f"a/{i}.wav", 20, 20) for i in range(8)
    ] == "test train train valid test train test train".split()
    assert stable_fraction("a/0.wav") == pytest.approx(0.0051521776, abs=1e-9)


def test_composed_and_decomposed_accents_are_one_name():
    assert stable_fraction("caf\u00e9.wav") == stable_fraction("cafe\u0301.wav")


def test_the_shares_are_as_asked():
    chosen = [choose_split(str(i), 10, 5) for i in range(20000)]
    assert chosen.count("valid") == pytest.approx(2000, rel=0.1)
    assert chosen.count("test") == pytest.approx(1000, rel=0.1)


def test_a_larger_valid_split_keeps_its_members_and_leaves_test_alone():
    small, large = ([choose_split(str(i), percent, 5) for i in range(500)] for percent in (5, 20))
    assert all(after == before for before, after in zip(small, large) if before != "train")


@pytest.mark.parametrize("valid, test", [(-1, 0), (0, float("nan")), (101, 0), (60, 40.5)])
def test_percents_that_no_corpus_can_have_are_refused(valid, test):
    with pytest.raises(UserError, match="percent"):
        split_percents(valid, test)


@pytest.mark.parametrize(
    "valid, test, expected",
    [
        (None, None, {"train": 99, "valid": 1}),
        (100, 0, {"valid": 100}),
        (0, 100, {"test": 100}),
        (33.3, 66.7, {"valid": 33.3, "test": 66.7}),
        (10, 20, {"train": 70, "valid": 10, "test": 20}),
    ],
)
def test_splits_of_no_percent_are_not_made(valid, test, expected):
    assert split_percents(valid, test) == expected


def test_everything_falls_into_the_only_split():
    assert {choose_split(str(i), 100, 0) for i in range(500)} == {"valid"}
    assert {choose_split(str(i), 0, 100) for i in range(500)} == {"test"}
