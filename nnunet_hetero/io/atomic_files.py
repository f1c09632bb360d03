"""Files that are whole or not there, whatever interrupts the writing, and files that several processes share."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

LOCK_NAME = ".nnunet_hetero.lock"


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Keep other processes away from the shared files of a folder; the lock ends with the process that holds it."""
    with FileLock(Path(folder) / LOCK_NAME):
        yield


@contextlib.contextmanager
def replacing(file: str | os.PathLike) -> Iterator[BinaryIO]:
    """A stream for the new content of a file, which is replaced as a whole at the end, or stays after an exception.

    Other processes must be kept from writing the same file, see `locked`.
    """
    file = Path(file)
    draft = file.with_name(f".{file.name}.draft")
    with open(draft, "wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
    _sync_folder(file.parent)


def replace_bytes(file: str | os.PathLike, content: bytes) -> None:
    """Write a file as a whole, see `replacing`."""
    with replacing(file) as stream:
        stream.write(content)


def replace_text(file: str | os.PathLike, text: str) -> None:
    """Write a text file as a whole, in UTF-8, see `replace_bytes`."""
    replace_bytes(file, text.encode("utf-8"))


def replace_json(file: str | os.PathLike, content: Any) -> None:
    """Write a JSON file as a whole, see `replace_text`."""
    replace_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(file: str | os.PathLike) -> dict:
    """Content of a JSON file; empty if there is none."""
    file = Path(file)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def update_json(file: str | os.PathLike, change: Callable[[dict], dict]) -> None:
    """Change a JSON file that other processes change too, and replace it as a whole.

    Args:
        file: The file; one that is not there counts as empty.
        change: From the present content to the new one. The file is not touched if they are equal, and removed if
            nothing is left.
    """
    file = Path(file)
    with locked(file.parent):
        before = read_json(file)
        after = change(dict(before))
        if not after:
            file.unlink(missing_ok=True)
        elif after != before:
            replace_json(file, after)


class Unfinished:
    """A hidden folder beside one case's outputs, where they are written until all of them are whole.

    Args:
        target: Path of the case's outputs without ending.
    """

    def __init__(self, target: str | os.PathLike):
        target = Path(target)
        self._final = target.parent
        self.folder = Path(tempfile.mkdtemp(prefix=_prefix(target.name), dir=target.parent))

    def publish(self, last: str, before_last: Callable[[], None] = lambda: None) -> None:
        """Move all files to their final places, replacing what is there, and drop the folder.

        Args:
            last: The file to move when all others are in place; it tells that the case is whole.
            before_last: Called just before.
        """
        files = sorted(file.relative_to(self.folder) for file in self.folder.rglob("*") if file.is_file())
        for file in files:
            with open(self.folder / file, "rb") as stream:
                os.fsync(stream.fileno())
        for file in files:
            if file != Path(last):
                (self._final / file).parent.mkdir(exist_ok=True)
                os.replace(self.folder / file, self._final / file)
        # A power cut must not keep the last file and lose one before it.
        for folder in {self._final / file.parent for file in files}:
            _sync_folder(folder)
        before_last()
        os.replace(self.folder / last, self._final / last)
        _sync_folder(self._final)
        self.drop()

    def drop(self) -> None:
        """Remove the folder with whatever it holds."""
        shutil.rmtree(self.folder, ignore_errors=True)


def drop_unfinished(target: str | os.PathLike) -> None:
    """Remove what a killed run left of one case; folders of other cases, which another process may be at, stay.

    Args:
        target: Path of the case's outputs without ending.
    """
    target = Path(target)
    pattern = re.compile(re.escape(_prefix(target.name)) + r"[a-z0-9_]+")
    if target.parent.is_dir():
        for entry in target.parent.iterdir():
            if pattern.fullmatch(entry.name) and entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)


def _prefix(name: str) -> str:
    return f".{name}.unfinished-"


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
