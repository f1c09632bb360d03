"""Commands that are killed, or find the disk full, at a chosen change of the file system."""

from __future__ import annotations

import builtins
import errno
import io
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KILLED = 9
CHANGES = ("replace", "rename", "unlink", "remove", "rmdir", "mkdir", "fsync", "truncate")
FREEING = ("unlink", "remove", "rmdir")
"""They need no room."""
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

Function = Callable[[], Any]


def end() -> None:
    """End this process as SIGKILL would."""
    os._exit(KILLED)


def fill() -> None:
    """What a write meets on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def fault_at(number: int, fault: Function, below: Path) -> Iterator[list[int]]:
    """Let a fault happen at one change of the file system, counted from 0.

    A file that is opened for writing is a change; when it is closed, a second one, at which half of it is there.

    Args:
        number: Which change; a large one only counts.
        fault: What happens then.
        below: Only changes of paths in this folder count, and those of open files.

    Yields:
        A list with the number of changes so far.
    """
    seen = [0]
    originals = {name: getattr(os, name) for name in CHANGES}
    original_open = builtins.open

    def change(before: Function = lambda: None, name: str = "") -> None:
        seen[0] += 1
        if seen[0] == number + 1 and not (fault is fill and name in FREEING):
            before()
            fault()

    def counted(name: str):
        def function(*arguments, **keywords):
            if isinstance(arguments[0], int) or keywords.get("dir_fd") is not None or _is_below(arguments[0], below):
                change(name=name)
            return originals[name](*arguments, **keywords)

        return function

    def opened(file, mode="r", *arguments, **keywords):
        writes = set(mode) & set("wax+") and not isinstance(file, int) and _is_below(file, below)
        if not writes:
            return original_open(file, mode, *arguments, **keywords)
        change()
        stream = original_open(file, mode, *arguments, **keywords)
        close = stream.close

        def half() -> None:
            close()
            originals["truncate"](file, os.stat(file).st_size // 2)

        def closing() -> None:
            if not stream.closed:
                change(half)
            close()

        return _Stream(stream, closing)

    for name in CHANGES:
        setattr(os, name, counted(name))
    builtins.open = io.open = opened
    try:
        yield seen
    finally:
        for name in CHANGES:
            setattr(os, name, originals[name])
        builtins.open = io.open = original_open


class _Stream:
    """A file whose closing is watched."""

    def __init__(self, stream, closing: Function):
        self._stream, self.close = stream, closing

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def __iter__(self):
        return iter(self._stream)

    def __enter__(self):
        return self

    def __exit__(self, *_exception) -> None:
        self.close()


def _is_below(path, folder: Path) -> bool:
    return os.path.abspath(os.fspath(path)).startswith(str(folder))


def run_until(number: int, fault: Function, function: Function, below: Path) -> int:
    """Run in a process of its own, with a fault at one change.

    Returns:
        Its exit code: `KILLED`, what the function returned, or 1 after an exception.
    """

    def child() -> None:
        code = 1
        try:
            with fault_at(number, fault, below):
                code = function() or 0
        finally:
            os._exit(code)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    return process.exitcode


def count_changes(function: Function, below: Path) -> int:
    """How many changes a run makes that nothing disturbs; it happens in this process."""
    with fault_at(1 << 60, end, below) as seen:
        function()
    return seen[0]


def hidden_files(folder: Path) -> list[str]:
    """Files and folders whose names begin with a dot."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.startswith("."))
