"""Files that are written whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Iterator, Union

from .errors import UserError

# Read once, while there is one thread: the umask can only be read by setting it
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextlib.contextmanager
def atomic_write(path: Union[str, Path], mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside ``path``; move it onto ``path`` when the block ends without error.

    On any error, Ctrl-C included, the temporary file is removed and what stood at ``path`` stays.
    Text is UTF-8 with Unix line ends.

    Raises:
        UserError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; nothing was changed") from error
    try:
        with os.fdopen(descriptor, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_UMASK)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; nothing was changed") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


@contextlib.contextmanager
def atomic_folder(path: Union[str, Path]) -> Iterator[Path]:
    """A temporary folder beside ``path``, which becomes ``path`` when the block ends without error.

    Raises:
        UserError: there is something at ``path`` already, or the folder around it cannot be written to.
    """
    path = Path(path)
    with _told_in_one_line(path):
        is_empty_folder = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
        if os.path.lexists(path) and (not is_empty_folder or path.resolve() == Path.cwd()):
            raise UserError(f"{path} is there already: name a new folder, or remove it first")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield temporary
        with _told_in_one_line(path):
            for file in temporary.iterdir():  # some libraries write for their user alone
                os.chmod(file, 0o666 & ~_UMASK)
            os.chmod(temporary, 0o777 & ~_UMASK)
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def atomic_file(path: Union[str, Path]) -> Iterator[Path]:
    """A name beside ``path`` for a file that others write; it becomes ``path`` when the block ends without error.

    Raises:
        UserError: ``path`` is a folder or a device, or its folder cannot be written to.
    """
    is_folder_name, path = str(path).endswith(os.sep), Path(path)
    with _told_in_one_line(path):
        if is_folder_name or (path.exists() and not path.is_file()):
            raise UserError(f"{path} is no file: name a new one")
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield folder / path.name
        with _told_in_one_line(path):
            os.replace(folder / path.name, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _told_in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; nothing was changed") from error
