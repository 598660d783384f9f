"""SummaryMixing wav2vec 2.0 as a fairseq plugin: ``common.user_dir=fairseq_summarymixing``.

The package itself imports nothing heavy; fairseq imports ``models`` and ``tasks`` when it is given
this folder as its user directory.
"""

import importlib
import os
from typing import Any, Mapping, Optional, Tuple, Union

__version__ = "0.1.0"


def load(path: Union[str, os.PathLike], overrides: Optional[Mapping[str, Any]] = None) -> Tuple[Any, Any]:
    """Load a fairseq checkpoint, of our models or of stock ``wav2vec2``, pre-trained or fine-tuned.

    Args:
        path: of the file.
        overrides: values by field name, set wherever the checkpoint's configuration has a field of that name.

    Returns:
        fairseq's model, in evaluation mode on the CPU, and its task.

    Raises:
        UserError: the file is no checkpoint, or its model is unknown here or does not fit its parameters.
    """
    from .checkpoints import Checkpoint
    from .downstream.restore import restore

    model, _, task = restore(Checkpoint.read(path), overrides)
    return model, task


def register() -> None:
    """Register our models and tasks in fairseq."""
    for package in ("models", "tasks"):
        importlib.import_module(f"{__name__}.{package}")


class _PackagePath(list):
    """The package's ``__path__``, as a list that also imports ``models`` and ``tasks`` when fairseq asks for them.

    If the package was imported before, ``fairseq.utils.import_user_module`` only looks for its user directory in this
    list, and skips both. It compares paths as strings, of which a folder may have several; this list compares folders.
    """

    def __contains__(self, path: Any) -> bool:
        if os.path.realpath(path) not in map(os.path.realpath, self):
            return False
        register()
        importlib.import_module(f"{__name__}.plugin").prepare()
        return True


__path__ = _PackagePath(__path__)
