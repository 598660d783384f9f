import math

import numpy as np
import pytest

from fairseq_summarymixing.downstream.error_rate import ErrorRate, character_errors, word_errors


@pytest.mark.parametrize(
    "reference, hypothesis, errors, words",
    [
        ("A B C", "A B C", 0, 3),
        ("A B C", "A X C", 1, 3),  # substitution
        ("A B C", "A C", 1, 3),  # deletion
        ("A B C", "A B B C", 1, 3),  # insertion
        ("A B C", "", 3, 3),
        ("", "A B", 2, 0),
        ("", "", 0, 0),
    ],
)
def test_word_errors_of_cases_counted_by_hand(reference, hypothesis, errors, words):
    counts = word_errors([reference], [hypothesis])
    assert (counts.errors.tolist(), counts.units.tolist()) == ([errors], [words])


def test_characters_count_the_space_between_words_once():
    counts = character_errors(["AB  CD ", "A"], ["ABCD", "B"])
    assert (counts.errors.tolist(), counts.units.tolist()) == ([1, 1], [5, 1])
    assert counts.rate == pytest.approx(2 / 6)


def test_the_rate_is_of_all_words_not_a_mean_over_utterances():
    assert word_errors(["A", "B C D E F G H I J"], ["X", "B C D E F G H I J"]).rate == pytest.approx(0.1)


def test_no_reference_words_are_no_rate():
    assert math.isnan(word_errors(["", ""], ["A", ""]).rate)


def random_counts(utterances):
    random = np.random.default_rng(1)
    units = random.integers(1, 30, size=utterances)
    return ErrorRate(random.binomial(units, 0.2), units)


def test_the_interval_contains_the_rate_and_shrinks_with_more_utterances():
    widths = []
    for utterances in (20, 200, 2000):
        counts = random_counts(utterances)
        low, high = counts.interval()
        assert low < counts.rate < high
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_the_interval_is_that_of_a_slow_bootstrap():
    counts = random_counts(50)
    random = np.random.default_rng(8)
    rates = []
    for _ in range(2000):
        drawn = random.integers(0, 50, 50)
        rates.append(counts.errors[drawn].sum() / counts.units[drawn].sum())
    assert counts.interval() == pytest.approx(np.percentile(rates, [2.5, 97.5]), abs=0.006)


def test_the_interval_repeats_and_survives_empty_references():
    counts = ErrorRate(np.array([1, 0, 2]), np.array([0, 0, 3]))
    assert counts.interval() == counts.interval()
    assert all(math.isfinite(edge) for edge in counts.interval())


def test_a_missing_hypothesis_is_an_error():
    with pytest.raises(ValueError, match="got 1 and 2"):
        word_errors(["A", "B"], ["A"])
