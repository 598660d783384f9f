"""Format tables of text, for Markdown and for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Row = Sequence[str]


def markdown(headings: Row, rows: Sequence[Row], text_columns: Collection[int] = (0, 1)) -> str:
    """Format a Markdown table that ends with a line end; columns are numbers, on the right, but for
    ``text_columns``."""
    rule = ["---" if index in text_columns else "---:" for index in range(len(headings))]
    lines = [headings, rule, *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def aligned(headings: Row, rows: Sequence[Row]) -> str:
    """Format a table for a terminal: the first column on the left, numbers on the right, without a line end."""
    lines = [headings, *rows]
    first, *widths = (max(map(len, column)) for column in zip(*lines))
    return "\n".join(
        f"{line[0]:<{first}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(line[1:], widths)) for line in lines
    )
