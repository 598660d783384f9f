import random

import pytest

from fairseq_summarymixing.data.segmentation.stitching import stitch


def lengths(segments):
    return [sum(stop - start for start, stop in stretches) for stretches in segments]


def samples(stretches):
    return [sample for start, stop in stretches for sample in range(start, stop)]


@pytest.mark.parametrize("seed", range(200))
def test_all_speech_comes_out_once_in_order_in_segments_of_the_lengths_wanted(seed):
    source = random.Random(seed)
    shortest = source.randint(1, 20)
    longest = source.randint(2 * shortest, 5 * shortest)
    speech, stop = [], 0
    for _ in range(source.randint(1, 30)):
        start = stop + source.randint(0, 5)
        stop = start + source.randint(1, source.choice([3, 20, 200]))
        speech.append((start, stop))
    segments = stitch(speech, shortest, longest)
    spoken = samples(speech)
    if len(spoken) < shortest:
        assert segments == []
        return
    assert [sample for stretches in segments for sample in samples(stretches)] == spoken
    assert all(shortest <= length <= longest for length in lengths(segments))
    assert all(start < stop for stretches in segments for start, stop in stretches)


def test_a_segment_ends_at_the_last_pause_that_fits():
    assert stitch([(0, 12), (20, 30), (40, 52), (60, 72)], 10, 30) == [[(0, 12), (20, 30)], [(40, 52), (60, 72)]]


def test_a_long_stretch_fills_segments_and_its_rest_begins_the_next():
    speech = [(0, 65), (70, 90)]
    assert stitch(speech, 10, 30) == [[(0, 30)], [(30, 60)], [(60, 65), (70, 90)]]


def test_a_segment_too_short_to_end_at_its_pause_is_filled_from_the_next_stretch():
    assert stitch([(0, 6), (10, 38), (40, 60)], 10, 30) == [[(0, 6), (10, 34)], [(34, 38), (40, 60)]]


def test_the_end_of_a_recording_is_not_left_as_a_rest():
    assert lengths(stitch([(0, 31)], 10, 30)) == [21, 10]
    assert lengths(stitch([(0, 15), (20, 34), (40, 42)], 10, 30)) == [15, 16]
    assert lengths(stitch([(0, 60)], 10, 30)) == [30, 30]


def test_speech_shorter_than_a_segment_gives_none():
    assert stitch([], 10, 30) == []
    assert stitch([(0, 4), (8, 13)], 10, 30) == []
    assert stitch([(0, 5), (8, 13)], 10, 30) == [[(0, 5), (8, 13)]]


def test_lengths_that_could_leave_rests_are_refused():
    for shortest, longest in ((10, 19), (0, 30)):
        with pytest.raises(ValueError, match="at least twice"):
            stitch([(0, 100)], shortest, longest)
