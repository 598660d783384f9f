"""Read JSON files as any program writes them."""

import json
from pathlib import Path
from typing import Any, Dict, Union

from .errors import UserError, one_line
from .text_files import read_text


def read_json(path: Union[str, Path]) -> Dict[str, Any]:
    """Read the object in a JSON file.

    Raises:
        UserError: as :func:`.text_files.read_text`, or it holds no JSON, or no object.
    """
    try:
        content = json.loads(read_text(path))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON: {one_line(error)}; copy or save it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not an object")
    return content
