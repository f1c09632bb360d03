"""Drafts: hidden files and folders that become a result when they are whole.

A draft's name says which process it belongs to. So no two processes share one, and what a process leaves when it is
killed is known as such: the next one that writes there clears it away, but never a draft of a process that lives.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import platform
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

DAY = 86400.0
"""Seconds. A draft is written within minutes; one of this age whose process cannot be asked is given up."""

_LONGEST_NAME = 150  # bytes; file systems take 255

_DRAFT = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-(?P<started>\d+)-\d+\.draft")
_OF_EARLIER_VERSIONS = re.compile(r"\..+\.unfinished-[a-z0-9_]{8}|\.installing-[a-z0-9_]{8}|\..+\.\d+\.tmp")

_number = itertools.count()
_cleared: set[Path] = set()


@dataclass(frozen=True)
class Owner:
    """A process, told from any other that ever ran.

    Args:
        machine: Stands for the host and, in a container, for the container.
        pid: Its number there.
        started: When it started, in ticks of the system's clock; 0 where that is unknown.
    """

    machine: str
    pid: int
    started: int

    @classmethod
    def this_process(cls) -> Owner:
        """The process that asks."""
        return cls(_machine(), os.getpid(), _start_of(os.getpid()) or 0)

    def is_gone(self) -> bool | None:
        """Whether it has ended; None if that cannot be told from here."""
        if self.machine != _machine():
            return None
        if os.path.isdir("/proc/self"):
            return _start_of(self.pid) != self.started
        if os.name != "posix":
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's process
            return None
        return False


def new_draft(file: str | os.PathLike) -> Path:
    """A path beside a file for its draft, which no other process uses; nothing is made yet.

    The first one in a folder also clears what processes that are gone have left there, see `clear_drafts`.
    """
    file = Path(file)
    if file.parent not in _cleared:
        clear_drafts(file.parent)
        _cleared.add(file.parent)
    name = file.name.encode()
    short = file.name if len(name) <= _LONGEST_NAME else hashlib.sha256(name).hexdigest()
    owner = Owner.this_process()
    return file.with_name(f".{short}.{owner.machine}-{owner.pid}-{owner.started}-{next(_number)}.draft")


def is_draft(name: str) -> bool:
    """Whether a file or folder is called like a draft, of this version or an earlier one."""
    return bool(_DRAFT.fullmatch(name) or _OF_EARLIER_VERSIONS.fullmatch(name))


def clear_drafts(folder: str | os.PathLike[str]) -> None:
    """Remove the drafts in a folder whose processes are gone.

    A draft of another machine, and one of an earlier version, is removed when it is a `DAY` old.
    """
    with contextlib.suppress(OSError):  # no such folder, or one that may not be read
        for entry in os.scandir(folder):
            if is_draft(entry.name) and _is_left(entry):
                remove_draft(entry.path)


def remove_draft(draft: str | os.PathLike) -> None:
    """Remove a draft, file or folder; what cannot be removed stays hidden."""
    if os.path.isdir(draft) and not os.path.islink(draft):
        shutil.rmtree(draft, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(draft)


def _is_left(entry: os.DirEntry) -> bool:
    match = _DRAFT.fullmatch(entry.name)
    gone = Owner(match["machine"], int(match["pid"]), int(match["started"])).is_gone() if match else None
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > DAY if gone is None else gone


@functools.cache
def _machine() -> str:
    try:
        space = os.readlink("/proc/self/ns/pid")  # numbers of processes are those of the container
    except OSError:
        space = ""
    # A name of a host may have bytes that are no text.
    return hashlib.sha256(f"{platform.node()} {space}".encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _start_of(pid: int) -> int | None:
    """Ticks from the system's start to that of a process; None if it is not there (any more)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything.
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])
