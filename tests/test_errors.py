"""Which errors are a lack of memory?"""

import pytest
import torch

from fairseq_summarymixing.errors import is_out_of_memory

MESSAGES = [
    "CUDA error: out of memory",
    "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",  # on Windows
    "std::bad_alloc",
    "unable to mmap 4096 bytes from file <model.pt>: Cannot allocate memory (12)",
]


def test_an_allocation_that_no_machine_holds():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert is_out_of_memory(caught.value)


def test_what_a_gpu_does_not_hold():
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB."))


@pytest.mark.parametrize("error", [MemoryError(), *map(RuntimeError, MESSAGES)], ids=repr)
def test_other_ways_to_report_it(error):
    assert is_out_of_memory(error)


def test_an_error_that_speaks_of_allocations_is_none():
    assert not is_out_of_memory(RuntimeError("the allocated tensor has the wrong shape"))
