"""Several processes and one folder: they take turns, or the second is refused."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # mypy takes the name for the module alone

from filelock import FileLock, Timeout

from nnunet_hetero.errors import SettingsError

LOCK_NAME = ".nnunet_hetero.lock"
WORK_NAME = ".nnunet_hetero.at_work"


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Keep other processes away from the shared files of a folder; the lock ends with the process that holds it.

    It is for the moment in which a file is read, changed and replaced; others wait.
    """
    with _held(Path(folder) / LOCK_NAME, wait=True):
        yield


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike, *, wait: bool = False) -> Iterator[None]:
    """Be the only process at work in an output folder, from beginning to end.

    Args:
        folder: One that is not there needs no guard: whoever wants to use it finds that out.
        wait: Whether to wait for the other one, for work that takes moments.

    Raises:
        SettingsError: If another process is at work there, and this one is not to wait.
    """
    if not os.path.isdir(folder):
        yield
        return
    with _held(Path(folder) / WORK_NAME, wait) as held:
        if not held:
            raise SettingsError(
                f"Another process is at work in {folder}. Wait until it has ended, or choose another output folder."
            )
        yield


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
            keep = _lock(descriptor, wait) and _is_at(file, descriptor)
        except BlockingIOError:
            return None
        finally:
            if not keep:
                os.close(descriptor)
        if keep:
            return descriptor


def _lock(descriptor: int, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
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
