"""Are figures, intervals and tests those of slow and obvious versions?"""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fairseq_summarymixing.data.manifest import Trial
from fairseq_summarymixing.downstream.probe.scores import EqualErrorRate, Ratio, interval, p_value, resample
from fairseq_summarymixing.downstream.probe.verify import Verify, check_trials
from fairseq_summarymixing.errors import UserError


def slow_equal_error_rate(similarity, same):
    """Count misses and false alarms at every threshold, and draw lines between the points."""
    points = []
    for threshold in [*sorted(set(similarity)), max(similarity) + 1]:
        accepted = [value >= threshold for value in similarity]
        misses = sum(s and not a for s, a in zip(same, accepted)) / sum(same)
        alarms = sum(a and not s for s, a in zip(same, accepted)) / (len(same) - sum(same))
        points.append((misses, alarms))
    for (misses, alarms), (more_misses, fewer_alarms) in zip(points, points[1:]):
        if more_misses >= fewer_alarms:
            shares = np.linspace(0, 1, 200_001)
            gap = (misses + shares * (more_misses - misses)) - (alarms + shares * (fewer_alarms - alarms))
            return misses + shares[np.argmin(abs(gap))] * (more_misses - misses)


def trials(seed, count=60, utterances=12, decimals=1):
    random = np.random.default_rng(seed)
    same = random.random(count) < 0.4
    similarity = np.round(random.standard_normal(count) + same, decimals)  # with ties
    return similarity, same, *random.integers(utterances, size=(2, count))


@pytest.mark.parametrize("seed", range(5))
def test_the_equal_error_rate_is_where_misses_and_false_alarms_meet(seed):
    similarity, same, first, second = trials(seed)
    found = EqualErrorRate(similarity, same, first, second).value()
    assert found == pytest.approx(slow_equal_error_rate(similarity.tolist(), same.tolist()), abs=1e-5)


def test_equal_error_rates_of_known_cases():
    def rate(similarity, same):
        zeros = np.zeros(len(same), int)
        return EqualErrorRate(np.array(similarity), np.array(same), zeros, zeros).value()

    assert rate([0.1, 0.2, 0.8, 0.9], [False, False, True, True]) == 0
    assert rate([0.1, 0.2, 0.8, 0.9], [True, True, False, False]) == 1
    assert rate([0.5, 0.5, 0.5, 0.5], [True, False, True, False]) == 0.5
    assert np.isnan(rate([0.5, 0.6], [True, True]))


def test_counts_mean_repeated_units():
    random = np.random.default_rng(0)
    counts = random.integers(0, 3, size=12)
    part, whole = random.integers(0, 5, size=12), random.integers(1, 9, size=12)
    repeated = np.repeat(np.arange(12), counts)
    assert Ratio(part, whole).value(counts) == pytest.approx(part[repeated].sum() / whole[repeated].sum())


def test_a_speaker_counts_with_all_its_trials_and_copies_are_not_paired():
    counts = np.random.default_rng(0).integers(0, 3, size=12)
    similarity, same, first, second = trials(1)
    second = np.where(same, first, second)
    times = [counts[a] if one else counts[a] * counts[b] for one, a, b in zip(same, first, second)]
    drawn = np.repeat(np.arange(len(same)), times)
    expected = slow_equal_error_rate(similarity[drawn].tolist(), same[drawn].tolist())
    assert EqualErrorRate(similarity, same, first, second).value(counts) == pytest.approx(expected, abs=1e-5)


def ratio(errors):
    return Ratio(np.array(errors), np.ones(len(errors)))


def test_the_interval_is_as_wide_as_the_binomial_distribution():
    wrong = np.zeros(400)
    wrong[:100] = 1
    low, high = interval(resample([[ratio(wrong)]], resamples=2000)[0])
    assert (low + high) / 2 == pytest.approx(0.25, abs=0.01)
    assert high - low == pytest.approx(2 * 1.96 * (0.25 * 0.75 / 400) ** 0.5, rel=0.1)


def test_seeds_widen_the_interval_and_means_are_over_seeds():
    wrong = np.random.default_rng(0).random(300) < 0.3
    alike, apart = [ratio(wrong)] * 3, [ratio(wrong * keep) for keep in (0.0, 1.0, 2.0)]
    widths = [np.subtract(*interval(row)) for row in resample([alike, apart])]
    assert abs(widths[1]) > 3 * abs(widths[0])


def test_the_paired_test_sees_what_intervals_of_each_do_not():
    random = np.random.default_rng(0)
    hard = random.random(300) < 0.5
    slightly_better = hard & (random.random(300) < 0.85)
    other = random.permutation(hard)
    scores = [[ratio(errors)] for errors in (hard, slightly_better, other, hard)]
    values = resample(scores)
    (low, _), (_, high) = interval(values[0]), interval(values[1])
    assert low < high, "the intervals overlap"
    assert p_value(values[0] - values[1]) < 0.01
    assert p_value(values[0] - values[2]) > 0.2
    assert p_value(values[0] - values[3]) == 1
    np.testing.assert_array_equal(values, resample(scores))


def test_speakers_are_those_of_the_labels_whichever_trials_there_are():
    names, speakers = "abcdef", ["s", "s", "t", "t", "u", "u"]
    split = SimpleNamespace(names=names, labels=speakers)
    rows = [("1", "c", "d", "0.5"), ("0", "a", "c", "0.4"), ("0", "b", "e", "0.3"), ("0", "f", "c", "0.2")]
    found = Verify.scores(None, rows, split)["eer"]
    assert found.units == 3
    assert found.first.tolist() == [0, 1, 1, 2] and found.second.tolist() == [0, 0, 2, 0]


@pytest.mark.parametrize(
    "trial, message",
    [
        (Trial(True, "a", "a"), "test.trials:2: a trial of a with itself; remove it"),
        (Trial(True, "a", "c"), "test.trials:2: a trial of one speaker, but in test.cls they are s and t"),
        (Trial(False, "a", "b"), "test.trials:2: a trial of two speakers, but in test.cls they are s and s"),
    ],
)
def test_a_trial_that_cannot_be_is_named(trial, message):
    split = SimpleNamespace(names="abc", labels=["s", "s", "t"], manifest=Path("test.tsv"), labels_path="test.cls")
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        check_trials([Trial(True, "a", "b"), trial], split)


def test_the_interval_of_speakers_is_wider_than_that_of_as_many_independent_pairs():
    """Ten speakers, of whom each is recognised well or badly in all of its trials."""
    random = np.random.default_rng(0)
    ease = random.standard_normal(10)
    same = [(True, speaker, speaker, ease[speaker] + 0.1 * random.standard_normal()) for speaker in range(10)] * 20
    other = [(False, *random.choice(10, 2, replace=False), random.standard_normal() - 1) for _ in range(200)]
    kind, first, second, similarity = map(np.array, zip(*same, *other))
    of_speakers = EqualErrorRate(similarity, kind, first, second)
    alone = np.where(kind, 10 + np.arange(400), first), np.where(kind, 10 + np.arange(400), second)
    independent = EqualErrorRate(similarity, kind, *alone)
    widths = [np.subtract(*interval(resample([[score]])[0])) for score in (of_speakers, independent)]
    assert abs(widths[0]) > 1.5 * abs(widths[1])
