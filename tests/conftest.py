import os
import sys
from pathlib import Path

import pytest

# Tiny tensors: more threads only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import torch  # noqa: E402

from fairseq_summarymixing.compat import avoid_wrong_gelu_gradients  # noqa: E402

avoid_wrong_gelu_gradients()


@pytest.fixture(autouse=True)
def seeded():
    """Each test draws the same random numbers, alone or in company."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
