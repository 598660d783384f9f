"""The modelling code of a directory: ``hf`` and the ``modules`` it uses, joined into one file."""

import ast
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

PACKAGE = Path(__file__).resolve().parent.parent
CONFIGURATION = PACKAGE / "hf" / "configuration_summarymixing.py"
MODELING = PACKAGE / "hf" / "modeling_summarymixing.py"
AUTO_MAP = {
    "AutoConfig": "configuration_summarymixing.SummaryMixingConfig",
    "AutoModel": "modeling_summarymixing.SummaryMixingModel",
    "AutoModelForPreTraining": "modeling_summarymixing.SummaryMixingForPreTraining",
    "AutoModelForCTC": "modeling_summarymixing.SummaryMixingForCTC",
    "AutoModelForAudioClassification": "modeling_summarymixing.SummaryMixingForSequenceClassification",
}
"""What config.json says of the files that :func:`write_code` writes."""
HEADER = (
    "# Made by fairseq_summarymixing {version} (MIT licence) of its modules/ and hf/. Needs torch and transformers.\n"
)


def code_files(version: str) -> Dict[str, str]:
    """Text by file name: the configuration as it is, and the modelling file, which needs nothing else of ours."""
    return {CONFIGURATION.name: CONFIGURATION.read_text(encoding="utf-8"), MODELING.name: join(MODELING, version)}


def write_code(folder: Path, version: str) -> None:
    for name, text in code_files(version).items():
        (folder / name).write_text(text, encoding="utf-8")


def join(path: Path, version: str) -> str:
    """The source of ``path`` behind that of every file of this package that it imports, except its own neighbours.

    Raises:
        ValueError: two files give one name to two things, or an import renames what it imports.
    """
    files = list(_in_order(path, set()))
    imports: Dict[str, Set[str]] = {}
    bodies: List[str] = []
    names: Dict[str, Path] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines = text.splitlines()
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for module, name in _imported(node, file):
                    imports.setdefault(module, set()).add(name)
            for name in _defined(node):
                if names.setdefault(name, file) != file:
                    raise ValueError(f"{names[name].name} and {file.name} both define {name}")
        bodies.append(f"# {file.relative_to(PACKAGE).as_posix()}: {ast.get_docstring(tree).splitlines()[0]}\n\n\n"
                      + _without_imports(tree, lines))  # fmt: skip
    return "\n".join([HEADER.format(version=version), *_import_lines(imports), "\n", "\n\n\n".join(bodies), ""])


def _in_order(path: Path, seen: Set[Path]) -> Iterator[Path]:
    """Files that ``path`` imports, each behind those that it imports itself, then ``path``."""
    seen.add(path)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level and not _is_neighbour(node, path):
            parent = path.parents[node.level - 1]
            file = parent.joinpath(*node.module.split(".")).with_suffix(".py")
            if file not in seen:
                yield from _in_order(file, seen)
    yield path


def _is_neighbour(node: ast.ImportFrom, path: Path) -> bool:
    """Whether it lies in the exported directory too."""
    return path.parent == MODELING.parent and node.level == 1


def _imported(node: ast.stmt, path: Path) -> Iterator[Tuple[str, str]]:
    """(module, name) for ``from module import name``; ("", module) for ``import module``."""
    for alias in node.names:
        renamed = f" as {alias.asname}" if alias.asname else ""
        if isinstance(node, ast.Import):
            yield "", alias.name + renamed
        elif not node.level:
            yield node.module, alias.name + renamed
        elif renamed:
            raise ValueError(f"{path.name} imports {alias.name}{renamed}: one file has one name for it")
        elif _is_neighbour(node, path):
            yield "." + node.module, alias.name


def _import_lines(imports: Dict[str, Set[str]]) -> List[str]:
    whole = [f"import {name}" for name in sorted(imports.pop("", ()))]
    parts = [f"from {module} import {', '.join(sorted(names))}" for module, names in imports.items()]
    return whole + sorted(parts, key=lambda line: (line.startswith("from ."), line))


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))


def _without_imports(tree: ast.Module, lines: List[str]) -> str:
    dropped = {
        number
        for index, node in enumerate(tree.body)
        if isinstance(node, (ast.Import, ast.ImportFrom)) or (index == 0 and isinstance(node, ast.Expr))
        for number in range(node.lineno, node.end_lineno + 1)
    }
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in dropped).strip("\n")
