"""Write the code of a directory: a file for the configuration and a file for the models, each with all that it uses of
ours."""

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
"""The entries of config.json that name the classes in the files of :func:`write_code`."""
HEADER = (
    "# Made by fairseq_summarymixing {version} (MIT licence) of its modules/ and hf/. Needs torch and transformers.\n"
)


def code_files(version: str) -> Dict[str, str]:
    """Return text by file name. The modelling file imports from the configuration's, and nothing else of ours."""
    return {path.name: join(path, version) for path in (CONFIGURATION, MODELING)}


def write_code(folder: Path, version: str) -> None:
    for name, text in code_files(version).items():
        (folder / name).write_text(text, encoding="utf-8")


def join(path: Path, version: str) -> str:
    """Return the source of ``path`` after that of every file of this package that it imports.

    What the configuration holds, other files import from there.

    Raises:
        ValueError: two files give one name to two things, or an import renames what it imports.
    """
    elsewhere = set() if path == CONFIGURATION else set(_in_order(CONFIGURATION, set()))
    files = list(_in_order(path, set(elsewhere)))
    imports: Dict[str, Set[str]] = {}
    bodies: List[str] = []
    names: Dict[str, Path] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines = text.splitlines()
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for module, name in _imported(node, file, elsewhere):
                    imports.setdefault(module, set()).add(name)
            for name in _defined(node):
                if names.setdefault(name, file) != file:
                    raise ValueError(f"{names[name].name} and {file.name} both define {name}")
        title = f"# {file.relative_to(PACKAGE).as_posix()}: {ast.get_docstring(tree).splitlines()[0]}"
        bodies.append(f"{title}\n\n\n{_without_imports(tree, lines)}")
    return "\n".join([HEADER.format(version=version), *_import_lines(imports), "\n", "\n\n\n".join(bodies), ""])


def _in_order(path: Path, seen: Set[Path]) -> Iterator[Path]:
    """Yield the files that ``path`` imports and that were not seen, each after those that it imports itself, then
    ``path``."""
    seen.add(path)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            file = _file(node, path)
            if file not in seen:
                yield from _in_order(file, seen)
    yield path


def _file(node: ast.ImportFrom, path: Path) -> Path:
    """The file of ours that a relative import in ``path`` names."""
    return path.parents[node.level - 1].joinpath(*node.module.split(".")).with_suffix(".py")


def _imported(node: ast.stmt, path: Path, elsewhere: Set[Path]) -> Iterator[Tuple[str, str]]:
    """Yield (module, name) for ``from module import name``; ("", module) for ``import module``."""
    for alias in node.names:
        renamed = f" as {alias.asname}" if alias.asname else ""
        if isinstance(node, ast.Import):
            yield "", alias.name + renamed
        elif not node.level:
            yield node.module, alias.name + renamed
        elif renamed:
            raise ValueError(f"{path.name} imports {alias.name}{renamed}: one file has one name for it")
        elif _file(node, path) in elsewhere:
            yield f".{CONFIGURATION.stem}", alias.name


def _import_lines(imports: Dict[str, Set[str]]) -> List[str]:
    whole = [f"import {name}" for name in sorted(imports.pop("", ()))]
    parts = [f"from {module} import {', '.join(sorted(names))}" for module, names in imports.items()]
    return whole + sorted(parts, key=lambda line: (line.startswith("from ."), line))


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))


def _without_imports(tree: ast.Module, lines: List[str]) -> str:
    dropped = {
        number
        for index, node in enumerate(tree.body)
        if isinstance(node, (ast.Import, ast.ImportFrom)) or (index == 0 and isinstance(node, ast.Expr))
        for number in range(node.lineno, node.end_lineno + 1)
    }
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in dropped).strip("\n")
