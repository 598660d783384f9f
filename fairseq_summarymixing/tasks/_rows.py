"""The rows of a manifest in memory that workers share."""

from typing import List

import torch
from torch import Tensor

from ..data.manifest_arrays import ManifestArrays


class SharedRows:
    """The rows of a manifest, without an object for each: counting references to it would copy the memory that a forked
    worker shares. A worker that is started anew is sent ``arrays`` in shared memory.
    """

    def __init__(self, arrays: ManifestArrays):
        self.arrays = arrays
        self._shared: List[Tensor] = []

    def path(self, index: int) -> str:
        """Return the path of a row, as in the manifest."""
        text, begins, ends, _ = self.arrays
        return text[begins[index] : ends[index]].tobytes().decode()

    def __getstate__(self) -> List[Tensor]:
        if not self._shared:
            self.__setstate__([torch.tensor(array).share_memory_() for array in self.arrays])
        return self._shared

    def __setstate__(self, shared: List[Tensor]) -> None:
        self._shared = shared
        self.arrays = ManifestArrays(*(tensor.numpy() for tensor in shared))
