"""Write the code of an exported directory: a file for the configuration and a file for the models, which need no other
file of this package.

Each holds the definitions of its counterpart in hf/, and those of other files that they use, directly or not. Of each
table of parts it holds the line that the configuration chooses.
"""

import ast
import itertools
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterator, List, Mapping, NamedTuple, Set, Tuple

from ..errors import UserError

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
TABLES = {"MIXERS": "mixer", "ENCODER_LAYERS": "encoder_layer", "POSITIONS": "positions", "FRONTENDS": "frontend"}
"""The tables of ``modules/build.py``, and the entry of config.json that chooses a line of each."""
HEADER = """\
# Made by fairseq_summarymixing {version} (MIT licence) of its modules/ and hf/. Needs torch and transformers.
# Of mixers, layers, positions and front ends it holds those that config.json chooses.
"""

Imports = Dict[str, Tuple[str, str]]
"""By the name that an import binds: (module, what is imported of it); the module is "" for ``import ...``."""


class Definition(NamedTuple):
    """A function, class or constant of a file."""

    file: Path
    names: FrozenSet[str]
    """What it defines."""
    uses: FrozenSet[str]
    """Every name in it."""
    text: str
    """Its lines, with the comment above and the docstring below."""


def write_code(folder: Path, version: str, config: Mapping[str, Any]) -> None:
    """Write the files of :func:`code_files`."""
    for name, text in code_files(version, config).items():
        (folder / name).write_text(text, encoding="utf-8")


def code_files(version: str, config: Mapping[str, Any]) -> Dict[str, str]:
    """Return text by file name. The modelling file imports from the configuration's, and nothing else of ours.

    Args:
        version: of this package, for the first line.
        config: the entries of config.json.

    Raises:
        UserError: ``config`` chooses what no line of a table builds.
        ValueError: two files give one name to two things, or an import of ours renames what it imports.
    """
    imports: Imports = {}
    definitions = list(_read(MODELING, config, imports, set()))
    for one, other in itertools.combinations(definitions, 2):
        for name in one.names & other.names:
            raise ValueError(f"{one.file.name} and {other.file.name} both define {name}")
    configuration = _reachable(CONFIGURATION, definitions)
    modeling = [each for each in _reachable(MODELING, definitions) if each not in configuration]
    ours = {name: (f".{CONFIGURATION.stem}", name) for each in configuration for name in each.names}
    return {
        CONFIGURATION.name: _write(configuration, imports, version),
        MODELING.name: _write(modeling, {**imports, **ours}, version),
    }


def _read(file: Path, config: Mapping[str, Any], imports: Imports, seen: Set[Path]) -> Iterator[Definition]:
    """Yield the definitions of the files of ours that a file imports and that were not seen, then its own; add its
    other imports to ``imports``."""
    seen.add(file)
    text = file.read_text(encoding="utf-8")
    body, lines, start = ast.parse(text).body, text.splitlines(), 0
    for node, after in itertools.zip_longest(body, body[1:]):
        end = (after if isinstance(after, ast.Expr) else node).end_lineno
        names, left_out = frozenset(_defined(node)), set()
        if isinstance(node, ast.ImportFrom) and node.level:
            if any(alias.asname for alias in node.names):
                raise ValueError(f"{file.name} renames what it imports from {node.module}")
            ours = file.parents[node.level - 1].joinpath(*node.module.split(".")).with_suffix(".py")
            if ours not in seen:
                yield from _read(ours, config, imports, seen)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                found = getattr(node, "module", ""), f"{alias.name} as {alias.asname}" if alias.asname else alias.name
                if imports.setdefault(alias.asname or alias.name, found) != found:
                    raise ValueError(f"{file.name} imports {found[1]}, and another file something else of that name")
        elif names:
            for table in names & TABLES.keys():
                left_out = _leave_out(node.value, table, config[TABLES[table]])
            kept = [line for number, line in enumerate(lines[start:end], start + 1) if number not in left_out]
            uses = frozenset(each.id for each in ast.walk(node) if isinstance(each, ast.Name))
            yield Definition(file, names, uses, "\n".join(kept))
        start = end


def _leave_out(table: ast.Dict, name: str, choice: str) -> Set[int]:
    """Take all entries but the chosen one out of a table, and return the numbers of their lines."""
    entries = {key.value: (key, part) for key, part in zip(table.keys, table.values)}
    if choice not in entries:
        raise UserError(f"{TABLES[name]}={choice} cannot be exported: {name} in modules/build.py has no such line")
    table.keys, table.values = ([each] for each in entries.pop(choice))
    return {number for key, part in entries.values() for number in range(key.lineno, part.end_lineno + 1)}


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))


def _reachable(file: Path, definitions: List[Definition]) -> List[Definition]:
    """Return the definitions of a file and those that they use, directly or not, in the order given."""
    by_name = {name: each for each in definitions for name in each.names}
    found: Set[Definition] = set()
    waiting = [each for each in definitions if each.file == file]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += [by_name[name] for name in each.uses & by_name.keys()]
    return [each for each in definitions if each in found]


def _write(definitions: List[Definition], imports: Imports, version: str) -> str:
    """Return the text of a file: imports, then the definitions, below the name of the file that they are from."""
    used = frozenset().union(*(each.uses for each in definitions)).difference(*(each.names for each in definitions))
    found: Dict[str, Set[str]] = {}
    for module, what in (imports[name] for name in used & imports.keys()):
        found.setdefault(module, set()).add(what)
    lines = [f"import {what}" for what in sorted(found.pop("", ()))]
    for module in sorted(found, key=lambda module: (module.startswith("."), module)):
        lines.append(f"from {module} import {', '.join(sorted(found[module]))}")
    for file, group in itertools.groupby(definitions, key=lambda each: each.file):
        title = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))).split("\n\n")[0].replace("\n", " ")
        body = "\n".join(each.text for each in group).strip("\n")
        lines.append(f"\n\n# {file.relative_to(PACKAGE).as_posix()}: {title}\n\n\n{body}")
    return "\n".join([HEADER.format(version=version), *lines, ""])
