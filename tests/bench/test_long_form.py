"""Does the script that measures long recordings time one, and count its memory?"""

import sys

from tiny import EXAMPLES

sys.path.insert(0, str(EXAMPLES / "benchmarks"))

import long_form  # noqa: E402


def test_a_recording_is_timed_in_chunks(tiny_shapes):
    found = long_form.measure("base", 3, chunk_seconds=1)
    assert found["taken"] > 0 and found["taken_per_second"] == found["taken"] / 3 and found["peak_gb"] > 0.01
