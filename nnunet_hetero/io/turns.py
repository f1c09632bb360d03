"""Several processes and one folder: they take turns, or the second is refused."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # mypy takes the name for the module alone

from filelock import FileLock, Timeout

from nnunet_hetero.errors import SettingsError

LOCK_NAME = ".nnunet_hetero.lock"
WORK_NAME = ".nnunet_hetero.at_work"


def is_of_turns(name: str) -> bool:
    """Whether a file of this name keeps processes apart, or is left of one that was killed meanwhile."""
    return name == LOCK_NAME or name.startswith(WORK_NAME)


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Keep other processes away from the shared files of a folder; the lock ends with the process that holds it.

    It is for the moment in which a file is read, changed and replaced; others wait.
    """
    with _held(Path(folder) / LOCK_NAME, wait=True):
        yield


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike, names: Collection[str] | None = None, *, wait: bool = False) -> Iterator[None]:
    """Be the only process at work in an output folder, or on some cases in it, from beginning to end.

    Who is at work holds a lock of a file of his own, in which his cases are named; it ends with his process.

    Args:
        folder: One that is not there needs no guard: whoever wants to use it finds that out.
        names: Cases; others may be at work on other ones. None is the whole folder. On Windows cases are not guarded.
        wait: Whether to wait for the other one, for work that takes moments.

    Raises:
        SettingsError: If another process is at work there, and this one is not to wait.
    """
    if not os.path.isdir(folder):
        yield
        return
    if fcntl is None:
        with _held(Path(folder) / WORK_NAME, wait) if names is None else contextlib.nullcontext(True) as held:
            if not held:
                raise SettingsError(_refusal(folder))
            yield
        return
    own = Path(folder, f"{WORK_NAME}.{uuid.uuid4().hex}")
    while True:
        with locked(folder):
            other = _other_at_work(Path(folder), names)
            if other is None:
                descriptor = _say_who(own, names)
                break
        if not wait:
            raise SettingsError(_refusal(folder, other[1]))
        _wait_for(other[0])
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(own)
        os.close(descriptor)


def _refusal(folder: str | os.PathLike, who: str = "") -> str:
    return f"Another process is at work in {folder}{who}. Wait until it has ended, or choose another output folder."


def _say_who(file: Path, names: Collection[str] | None) -> int:
    """Write a file that says who is at work on what; its descriptor, with the lock."""
    who = {"process": os.getpid(), "host": socket.gethostname(), "names": None if names is None else sorted(names)}
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _lock(descriptor, fcntl.LOCK_EX)
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(json.dumps(who).encode("ascii"))
    except BaseException as error:
        os.unlink(file)
        os.close(descriptor)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(file)) from error
        raise
    return descriptor


def _other_at_work(folder: Path, names: Collection[str] | None) -> tuple[Path, str] | None:
    """The file of a process that is at work on the same, and who it is and on what, in words."""
    for file in folder.glob(f"{WORK_NAME}.*"):
        with contextlib.suppress(FileNotFoundError), file.open("rb") as stream:
            if _is_free(stream.fileno()):
                with contextlib.suppress(OSError):
                    file.unlink()  # of one that was killed
                continue
            try:
                who = json.loads(stream.read())
            except ValueError:  # it does not say, so it may be anything
                who = {"process": "?", "host": "?", "names": None}
            both = [] if None in (names, who["names"]) else sorted(set(names or ()) & set(who["names"]))
            if both or names is None or who["names"] is None:
                more = f" and {len(both) - 1} more of these cases" if len(both) > 1 else ""
                on = f", on {both[0]}{more}" if both else ""
                return file, f" (process {who['process']} on {who['host']}{on})"
    return None


def _wait_for(file: Path) -> None:
    with contextlib.suppress(FileNotFoundError), file.open("rb") as stream:
        _lock(stream.fileno(), fcntl.LOCK_SH)


def _is_free(descriptor: int) -> bool:
    try:
        return _lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # of a file that is open for reading alone
    except BlockingIOError:
        return False


@contextlib.contextmanager
def _held(file: Path, wait: bool) -> Iterator[bool]:
    """Whether the lock is held; its file is there only meanwhile."""
    if fcntl is None:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(FileLock(file).acquire(timeout=-1 if wait else 0))
                held = True
            except Timeout:
                held = False
            yield held
        return
    descriptor = _open_locked(file, wait)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            # While it is held. Whoever waits for it finds another file under this name, or none, and tries again.
            with contextlib.suppress(OSError):
                os.unlink(file)
            os.close(descriptor)


def _open_locked(file: Path, wait: bool) -> int | None:
    """A descriptor of the file with the lock; None if another process has it."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        keep = False
        try:
            keep = _lock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)) and _is_at(file, descriptor)
        except BlockingIOError:
            return None
        finally:
            if not keep:
                os.close(descriptor)
        if keep:
            return descriptor


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind)
    except OSError as error:
        # Some network file systems know no locks; there, nothing keeps processes apart.
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
    return True


def _is_at(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(file))
    except FileNotFoundError:
        return False
