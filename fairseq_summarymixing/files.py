"""Write files and folders whole or not at all.

What is not finished lies beside its target, as ``.NAME.xxxxxxxx.part``, and its writer holds a lock (flock) on it. The
kernel releases the lock when the writer dies, whatever killed it: a temporary whose lock can be had is a leftover. The
first write into a folder removes those that are there.
"""

import contextlib
import errno
import fcntl
import fnmatch
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import IO, Iterator, List, Optional, Sequence, Set, Tuple, Union

from .errors import UserError
from .input_files import kind_of

# Read once, while there is one thread: the umask can only be read by setting it
_UMASK = os.umask(0)
os.umask(_UMASK)

_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.part", re.DOTALL)  # as tempfile names it
# What says that there is no room: of the system, and in the messages of torch and safetensors
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_NO_ROOM_WORDS = re.compile(
    "No space left on device|File too large|Disk quota exceeded|StreamWriter failed writing|unexpected pos"
)
_LOCK = ".lock"  # in a temporary folder: not every file system locks folders
_swept: Set[str] = set()


@contextlib.contextmanager
def atomic_write(path: Union[str, Path], mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside ``path``; move it onto ``path`` when the block ends without error.

    On any error, Ctrl-C included, the temporary file is removed and what stood at ``path`` stays.
    Text is UTF-8 with Unix line ends.

    Raises:
        UserError: ``path`` is a folder, a pipe or a device, its folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    _check_target(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    with _one_line(path):
        _prepare(path.parent)
        descriptor, temporary = _locked_file(path)
        try:
            with os.fdopen(descriptor, mode, **text) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.chmod(temporary, 0o666 & ~_UMASK)
                os.replace(temporary, path)  # before the file is closed, which ends the lock
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


@contextlib.contextmanager
def atomic_folder(path: Union[str, Path]) -> Iterator[Path]:
    """Make a temporary folder beside ``path``, which becomes ``path`` when the block ends without error.

    Raises:
        UserError: there is something at ``path`` already, the folder around it cannot be written to, or the disk is
            full.
    """
    path = Path(path)
    with _one_line(path):
        is_empty_folder = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
        if os.path.lexists(path) and (not is_empty_folder or path.resolve() == Path.cwd()):
            raise UserError(f"{path} is there already: name a new folder, or remove it first")
    with _locked_folder(path) as around, _room_for(path):
        temporary = around / path.name
        with _one_line(path):
            temporary.mkdir()
        yield temporary
        with _one_line(path):
            _let_others_read(temporary)
            os.replace(temporary, path)


@contextlib.contextmanager
def atomic_file(path: Union[str, Path]) -> Iterator[Path]:
    """Name a file beside ``path`` for others to write, which becomes ``path`` when the block ends without error.

    Raises:
        UserError: ``path`` is a folder or a device, its folder cannot be written to, or the disk is full.
    """
    is_folder_name, path = str(path).endswith(os.sep), Path(path)
    _check_target(path, "the name of a folder" if is_folder_name else None)
    with _locked_folder(path) as around, _room_for(path):
        yield around / path.name
        with _one_line(path):
            os.replace(around / path.name, path)


def _check_target(path: Path, kind: Optional[str] = None) -> None:
    kind = kind_of(path) or kind
    if kind is not None:
        raise UserError(f"{path} is {kind}; expected the name of a file to write")


def check_folder(out: Union[str, Path]) -> None:
    """Raise a UserError if a path for a folder of results, `out`, is something else; it may be absent."""
    if os.path.lexists(out) and not os.path.isdir(out):
        raise UserError(f"`out` {out} is {kind_of(out) or 'a file'}; expected a folder")


def make_folder(folder: Union[str, Path]) -> None:
    """Make a folder for files that are still to be computed, and try whether files can be made in it.

    Raises:
        UserError: it cannot be made or written to; the message names the reason.
    """
    with _one_line(Path(folder)):
        _prepare(Path(folder))
        with tempfile.TemporaryFile(dir=folder):
            pass


def sweep_leftovers(folder: Union[str, Path], unlocked: Sequence[str] = ()) -> List[Path]:
    """Remove the temporary files and folders that killed processes left in ``folder``, and not below it.

    What a living process writes stays, and so does what belongs to another user, and everything where the file system
    has no locks. (Where it has them for each machine alone, the processes of another machine count as dead.)

    Args:
        unlocked: patterns of the temporary files of other programs, such as fairseq's ``*.pt.tmp``. These nobody
            locks, so the caller must know that nobody writes them now.

    Returns:
        What was removed; nothing where there is no such folder.
    """
    removed = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                is_removed = _remove_dead(entry)
            elif any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in unlocked):
                is_removed = _remove_file(entry)
            else:
                continue
            if is_removed:
                removed.append(Path(entry.path))
    return sorted(removed)


def _prepare(folder: Path) -> None:
    """Make the folder, and sweep it once: looking through a folder for each of its 100,000 files would take hours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        around = (path for path in (folder, *folder.parents) if path.exists() and not path.is_dir())
        file = next(around, folder)
        raise NotADirectoryError(errno.ENOTDIR, f"{file} is no folder") from error
    name = os.path.abspath(folder)
    if name not in _swept:
        _swept.add(name)
        sweep_leftovers(folder)


def _locked_file(path: Path) -> Tuple[int, str]:
    """Make a temporary file for ``path``; returns its descriptor, open and locked, and its name."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        if _lock_new(descriptor, name):
            return descriptor, name
        os.close(descriptor)


@contextlib.contextmanager
def _locked_folder(path: Path) -> Iterator[Path]:
    """Make a temporary folder for ``path``, locked by a file in it, and removed when the block ends."""
    with _one_line(path):
        _prepare(path.parent)
        while True:
            folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
            with contextlib.suppress(FileNotFoundError):  # swept before it was locked
                descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
                if _lock_new(descriptor, folder / _LOCK):
                    break
                os.close(descriptor)
    try:
        yield folder
    finally:
        _remove_folder(folder, descriptor)


def _remove_folder(folder: Union[str, Path], lock: int) -> None:
    """Remove a temporary folder and end its lock, which protects it to the end."""
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
    with contextlib.suppress(OSError):
        os.rmdir(folder)  # NFS keeps a file that is open, and the folder with it


def _lock_new(descriptor: int, path: Union[str, Path]) -> bool:
    """Lock a file just made; returns False where another process took it for a leftover in between."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # this file system has no locks: then nobody sweeps either
    return _is_still_at(path, descriptor)


def _is_still_at(path: Union[str, Path], descriptor: int) -> bool:
    """Return whether the open file is the one at ``path``: a lock on a file that was removed protects nothing."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_dead(entry: os.DirEntry) -> bool:
    """Remove a temporary whose lock nobody holds; returns whether it did."""
    is_folder = entry.is_dir(follow_symlinks=False)
    if not (is_folder or entry.is_file(follow_symlinks=False)) or not _is_ours(entry):
        return False
    # Of a folder whose writer has not made the lock yet, or never will, it is made here: who comes second gives way
    path, create = (os.path.join(entry.path, _LOCK), os.O_CREAT) if is_folder else (entry.path, 0)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | create, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is held, or there are no locks here
        os.close(descriptor)
        return False
    if not _is_still_at(path, descriptor):  # another sweep removed it first, and a writer may have made it anew
        os.close(descriptor)
        return False
    if is_folder:
        _remove_folder(entry.path, descriptor)
    else:
        _remove_file(entry)
        os.close(descriptor)
    return not os.path.lexists(entry.path)


def _remove_file(entry: os.DirEntry) -> bool:
    if entry.is_file(follow_symlinks=False) and _is_ours(entry):
        with contextlib.suppress(OSError):
            os.unlink(entry.path)
    return not os.path.lexists(entry.path)


def _is_ours(entry: os.DirEntry) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_uid == os.geteuid()
    except OSError:
        return False


def _let_others_read(folder: Path) -> None:
    """Give files the usual permissions: some libraries write for their user alone."""
    for parent, _, names in os.walk(folder):
        for path in (os.path.join(parent, name) for name in names):
            if not os.path.islink(path):
                os.chmod(path, 0o666 & ~_UMASK)


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; nothing was changed") from error


def says_no_room(error: BaseException) -> bool:
    """Return whether the words of a library's error mean that there is no room for a file."""
    return not isinstance(error, UserError) and _NO_ROOM_WORDS.search(str(error)) is not None


@contextlib.contextmanager
def _room_for(path: Path) -> Iterator[None]:
    """Report in one line that there is no room for what a library writes inside the block."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise UserError(f"cannot write {path}: {error.strerror}; it was not written") from error
        if says_no_room(error):
            raise UserError(
                f"cannot write {path}: the disk is full, or files may not be so large; it was not written"
            ) from error
        raise
