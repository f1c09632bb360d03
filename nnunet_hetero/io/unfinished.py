"""Several files that appear together when all of them are whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from nnunet_hetero.io.drafts import new_draft, remove_draft
from nnunet_hetero.io.whole import require_whole


class Unfinished:
    """A hidden folder beside one case's outputs, where they are written until all of them are whole.

    It is a draft (see `nnunet_hetero.io.drafts`), so what a killed process leaves is cleared by the next one.

    Args:
        target: Path of the case's outputs without ending, or of whatever the files become.
    """

    def __init__(self, target: str | os.PathLike):
        self._final = Path(target).parent
        self.folder = new_draft(target)
        self.folder.mkdir()

    def publish(self, last: str, before_last: Callable[[], None] = lambda: None, *, checked: bool = False) -> None:
        """Move all files to their final places, replacing what is there, and drop the folder.

        Args:
            last: The file to move when all others are in place; it tells that the case is whole.
            before_last: Called just before.
            checked: Whether the caller has read the files back, see `require_whole`; otherwise that is done here.

        Raises:
            OSError: If a file is not whole or cannot be moved; the one that tells that the case is whole is not
                there then.
        """
        files = sorted(file.relative_to(self.folder) for file in self.folder.rglob("*") if file.is_file())
        for file in files:
            sync(self.folder / file)
            if not checked:
                require_whole(self.folder / file)
        for file in files:
            if file != Path(last):
                (self._final / file).parent.mkdir(exist_ok=True)
                os.replace(self.folder / file, self._final / file)
        # A power cut must not keep the last file and lose one before it.
        for folder in {self._final / file.parent for file in files}:
            sync_folder(folder)
        before_last()
        os.replace(self.folder / last, self._final / last)
        sync_folder(self._final)
        self.drop()

    def drop(self) -> None:
        """Remove the folder with whatever it holds."""
        remove_draft(self.folder)


@contextlib.contextmanager
def replacing_by_name(file: str | os.PathLike) -> Iterator[Path]:
    """A path with the file's own name and ending, for a library that writes to a path and no stream.

    What it wrote is read back (see `require_whole`) and replaces the file as a whole at the end; after an exception the
    file stays as it was.

    Raises:
        OSError: If it is not whole.

    Examples:
        >>> with replacing_by_name(folder / "a.npz") as path:  # folder: a path
        ...     np.savez_compressed(path, image=image)
        >>> (folder / "a.npz").is_file()
        True
    """
    unfinished = Unfinished(file)
    try:
        yield unfinished.folder / Path(file).name
        unfinished.publish(Path(file).name)
    finally:
        unfinished.drop()


def sync(file: Path) -> None:
    """Wait until a file is on the disk; what the disk could not take is an error now, at the latest."""
    with open(file, "rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """The same for the names in a folder, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
