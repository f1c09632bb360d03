"""The files below a folder, or in a zip, read in the same way; nothing of a zip leaves the place it is unpacked to."""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn, Protocol

from nnunet_hetero.cases.naming.names import not_here, split_ending
from nnunet_hetero.errors import DataError

READING_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)
"""What `zipfile` raises of a zip that is damaged, encrypted or packed in a way that it does not know."""

_LITTER = ("__MACOSX", ".")
_ENCRYPTED = 1


class Tree(Protocol):
    """Files that lie together; equal if they are the same files."""

    def __hash__(self) -> int: ...

    @property
    def root(self) -> Path:
        """The folder or the zip."""

    @property
    def names(self) -> tuple[str, ...]:
        """Paths of the files in it, with ``/``, sorted."""

    def open(self, name: str) -> IO[bytes]:
        """A stream of one of its files."""

    def on_disk(self, name: str, scratch: Path) -> Path:
        """Path of one of its files, unpacked below ``scratch`` if it lies in a zip."""

    def stamps(self) -> tuple[tuple[int, int], ...]:
        """Size in bytes and time of change, ns, of its files: what was read of them holds while these are the same."""


@dataclass(frozen=True)
class FolderTree:
    """The files of a folder and all below it.

    Args:
        root: The folder.
        names: Their paths below it, with ``/``, sorted.
    """

    root: Path
    names: tuple[str, ...]

    def open(self, name: str) -> IO[bytes]:
        """See `Tree`."""
        file = self.root / name
        if file.exists() and not file.is_file():  # a pipe would be waited for
            raise OSError(f"{file} is no regular file")
        return open(file, "rb")

    def on_disk(self, name: str, scratch: Path) -> Path:
        """See `Tree`."""
        return self.root / name

    def stamps(self) -> tuple[tuple[int, int], ...]:
        """See `Tree`."""
        return tuple(_stamp(self.root / name) for name in self.names)


@dataclass(frozen=True)
class ZipTree:
    """The files of a zip.

    Args:
        root: The zip.
        names: As they are called there, sorted.
    """

    root: Path
    names: tuple[str, ...]

    def open(self, name: str) -> IO[bytes]:
        """See `Tree`."""
        return self._archive.open(name)

    def on_disk(self, name: str, scratch: Path) -> Path:
        """See `Tree`."""
        target = scratch / self.root.name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._archive.open(name) as source, open(target, "wb") as copy:
            shutil.copyfileobj(source, copy)
        return target

    def stamps(self) -> tuple[tuple[int, int], ...]:
        """See `Tree`."""
        return (_stamp(self.root),)

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.root)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:  # a link to nothing
        return -1, -1
    return status.st_size, status.st_mtime_ns


def folder_tree(folder: Path) -> FolderTree:
    """The files below a folder; links are followed once each, hidden ones left out but for what stands for an image.

    Raises:
        DataError: If a folder cannot be read: leaving it out would lose images.
    """
    names: list[str] = []
    for place, files in _walk(folder):
        names += [(place / file).relative_to(folder).as_posix() for file in files]
    return FolderTree(folder, tuple(sorted(names)))


def folders_in(place: Path) -> list[str]:
    """Paths of the folders below a folder, or in a zip, with ``/``, also of those that hold nothing; sorted.

    Raises:
        DataError: If a folder cannot be read.
    """
    if place.is_dir():
        return sorted(folder.relative_to(place).as_posix() for folder, _ in _walk(place) if folder != place)
    found: set[PurePosixPath] = set()
    with zipfile.ZipFile(place) as archive:
        for entry in archive.infolist():
            path = PurePosixPath(entry.filename)
            found.update((path, *path.parents) if entry.is_dir() else path.parents)
    return sorted(str(folder) for folder in found - {PurePosixPath(".")} if not _is_litter(str(folder)))


def zip_tree(file: Path) -> ZipTree:
    """The files of a zip.

    Raises:
        DataError: If it is no zip, is damaged or encrypted, or one of its paths leaves the place it is unpacked to.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except READING_ERRORS as error:
        raise DataError(f"{file} is no zip, or damaged ({error}). Copy or download it again.") from error
    for entry in entries:
        problem = _problem(entry)
        if problem:
            raise DataError(f"{file} is refused: {problem}")
    names = [entry.filename for entry in entries]
    return ZipTree(file, tuple(sorted(name for name in names if not _is_litter(name))))


def _is_litter(name: str) -> bool:
    *folders, last = name.split("/")
    hidden = last.startswith(".") and not not_here(last)
    return hidden or any(folder.startswith(_LITTER) for folder in folders)


def _problem(entry: zipfile.ZipInfo) -> str | None:
    # What is stored, not what `zipfile` has already made of it.
    name = entry.orig_filename.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in PurePosixPath(name).parts:
        return f"its file '{entry.orig_filename}' would be unpacked outside of the folder. Ask whoever made the zip."
    if stat.S_ISLNK(entry.external_attr >> 16):
        return f"its file '{entry.orig_filename}' is a link. Pack the files themselves."
    if entry.flag_bits & _ENCRYPTED:
        return f"its file '{entry.orig_filename}' is encrypted. Unpack it with its password, and give the folder."
    return None


def _walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder, and the files that lie in it."""
    seen = set()
    for place, subfolders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(_LITTER))
        yield Path(place), sorted(name for name in files if not name.startswith(".") or not_here(name))


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename} cannot be read ({error.strerror}). Check its permissions.") from error


def unpack(tree: Tree, name: str, scratch: Path) -> Path:
    """See `Tree.on_disk`.

    Raises:
        DataError: If it cannot be unpacked.
    """
    try:
        return tree.on_disk(name, scratch)
    except (zlib.error, zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError(
            f"{name} in {tree.root} cannot be unpacked ({error}). Copy or download the zip again."
        ) from error


def unpack_image(tree: Tree, name: str, scratch: Path) -> Path:
    """See `Tree.on_disk`; of formats whose voxels stand in a file beside the header, with that file.

    Raises:
        DataError: If it cannot be unpacked.
    """
    stem = split_ending(name)[0]
    for other in tree.names:
        if split_ending(other)[0] == stem or other.rpartition(".")[0] == stem:
            unpack(tree, other, scratch)
    return unpack(tree, name, scratch)
