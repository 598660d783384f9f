import os
import sys
from pathlib import Path

import pytest

# Tiny tensors: more threads only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import torch  # noqa: E402

from fairseq_summarymixing.compat import avoid_wrong_gelu_gradients, mend_torchaudio  # noqa: E402

avoid_wrong_gelu_gradients()
mend_torchaudio()


# Files are shared out in order: those that take longest first, so that all processes end at about the same time
LONGEST = ("test_quickstart", "test_encoder", "test_study_read_english", "test_several_processes")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(autouse=True)
def seeded():
    """Each test draws the same random numbers, alone or in company."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """``checkpoint(kind, ctc=False)``: path of an untrained tiny checkpoint, made once."""
    pytest.importorskip("fairseq")
    import checkpoint_files

    folder, made = tmp_path_factory.mktemp("checkpoints"), {}

    def make(kind, ctc=False):
        if (kind, ctc) not in made:
            path = folder / f"{kind}{'-ctc' if ctc else ''}.pt"
            make_it = checkpoint_files.ctc if ctc else checkpoint_files.pretrained
            made[kind, ctc] = make_it(path, make(kind) if ctc else kind)
        return made[kind, ctc]

    return make


@pytest.fixture(scope="session")
def exported(tmp_path_factory, checkpoint):
    """``exported(kind, ctc=False)``: the directory that ``export hf`` makes of that checkpoint, made once."""
    pytest.importorskip("transformers", reason="the hf extra is not installed")
    from fairseq_summarymixing.converters.export_hf import export_hf

    folder, made = tmp_path_factory.mktemp("exported"), {}

    def export(kind, ctc=False):
        if (kind, ctc) not in made:
            made[kind, ctc] = folder / f"{kind}{'-ctc' if ctc else ''}"
            export_hf(checkpoint(kind, ctc), made[kind, ctc])
        return made[kind, ctc]

    return export
