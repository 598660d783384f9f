"""Make an environment without fairseq: links to some installed packages and all that they need, nothing else."""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import List, Set


def link_packages(folder: Path, names: List[str]) -> List[str]:
    """Fill ``folder`` with links to these distributions and their requirements.

    Returns:
        The command that starts a Python which sees the folder and the standard library alone.

    Raises:
        PackageNotFoundError: one of ``names`` is not installed.
    """
    from packaging.requirements import Requirement

    folder.mkdir(parents=True, exist_ok=True)
    seen: Set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name.lower() in seen:
            continue
        seen.add(name.lower())
        try:
            found = distribution(name)
        except PackageNotFoundError:
            if name in names:
                raise
            continue  # wanted on other systems
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))).resolve())
        needed = [Requirement(text) for text in found.requires or ()]
        queue += [
            requirement.name
            for requirement in needed
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
    start = (
        "import runpy, sys; sys.path.append(sys.argv[1]); sys.argv[:2] = []; "
        "runpy.run_path(sys.argv[0], None, '__main__')"
    )
    return [sys.executable, "-I", "-S", "-c", start, str(folder)]
