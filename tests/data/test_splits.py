import pytest

from fairseq_summarymixing.data.splits import check_percents, choose_split, stable_fraction
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


@pytest.mark.parametrize("valid, test", [(50, 50), (100, 0), (-1, 0), (0, float("nan"))])
def test_percents_that_leave_nothing_to_train_on_are_refused(valid, test):
    with pytest.raises(UserError, match="percent"):
        check_percents(valid, test)
