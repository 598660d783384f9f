"""Compare the plain layers' code with the code that the lean layers were written after.

After an edit of a plain layer, training must not go on with the former mathematics: the layers of an edited file run as
they are written.
"""

import ast
import functools
import hashlib
import inspect
import io
import logging
import sys
import tokenize

logger = logging.getLogger(__name__)

PLAIN = __name__.rsplit(".", 2)[0]
WRITTEN_AFTER = {
    "attention": "f913203d93f5",
    "conformer": "15a09e58c352",
    "feed_forward": "901d52e304ce",
    "frontend": "7559c673a6aa",
    "log_mel": "e22d4bbeadad",
    "positional": "72ec9d281f2d",
    "summary_mixing": "338d695a8bc0",
    "transformer": "210e7498d29a",
}
"""Of each file of ``modules/`` that has lean layers, the :func:`fingerprint`."""

LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def fingerprint(source: str) -> str:
    """Return a hash of a file's code, 12 hexadecimal digits; comments, docstrings and layout do not change it."""
    places = {
        node.body[0].lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None
    }
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    kept = (
        token.string
        for token in tokens
        if token.type not in LAYOUT and not (token.type == tokenize.STRING and token.start[0] in places)
    )
    # a space between tokens would tell Pythons apart, which cut f-strings differently, and a comma lines from no lines
    return hashlib.sha256("".join("".join(kept).replace(" ", "").split(",")).encode()).hexdigest()[:12]


@functools.lru_cache(maxsize=None)
def is_unchanged(name: str) -> bool:
    """Return whether a module has the code that its lean layers were written after; log a warning if it has not.

    Args:
        name: of the module, such as ``fairseq_summarymixing.modules.summary_mixing``.
    """
    package, _, file = name.rpartition(".")
    if package != PLAIN:
        return True
    try:
        found = fingerprint(inspect.getsource(sys.modules[name]))
    except OSError:  # compiled files alone: nobody edits these
        return True
    if found == WRITTEN_AFTER.get(file):
        return True
    logger.warning(
        "modules/%s.py was edited after modules/lean/%s.py was written: its layers train as they are written now, "
        "slower and in more memory; when both agree, put '%s' into modules/lean/counterparts.py",
        file,
        file,
        found,
    )
    return False
