"""Where the mask of a case lies, ``--mask``: a file for all, or one in each case's folder or zip."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import SimpleITK as sitk

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.files.tree import FolderTree, Tree, folder_tree, unpack_image, zip_tree
from nnunet_hetero.intake.files.volumes import read_volume

ZIP = ".zip"


@dataclass(frozen=True)
class MaskFile:
    """A mask in a folder or a zip.

    Args:
        tree: The folder or the zip.
        name: Its path there, with ``/``.
    """

    tree: Tree
    name: str

    @property
    def place(self) -> Path:
        """The file on the disk: the mask, or the zip that it lies in."""
        return self.tree.root if self.tree.root.is_file() else self.tree.root / self.name

    def __str__(self) -> str:
        inner = f"#{self.name}" if self.tree.root.is_file() else ""
        return f"{self.place}{inner}"

    def read(self, case: str, scratch: Path) -> sitk.Image:
        """The mask as it is stored.

        Args:
            case: For errors.
            scratch: A folder for what is unpacked; it may be removed afterwards.

        Raises:
            DataError: As `read_volume`.
        """
        return read_volume(unpack_image(self.tree, self.name, scratch), f"Case '{case}': the mask {self}")


def find_mask(name: str | os.PathLike, case: str, entries: Sequence[Path]) -> MaskFile:
    """The mask of a case.

    Args:
        name: A path, or the name of a file in each case.
        case: For errors.
        entries: Folders and zips of the case; zips in these folders are looked into, too.

    Raises:
        DataError: If there is none, or several, or a zip is damaged.
    """
    if Path(name).is_file():
        return MaskFile(FolderTree(Path(name).parent, (Path(name).name,)), Path(name).name)
    try:
        found = list(_named(str(name), entries))
    except DataError as error:
        raise DataError(f"Case '{case}': --mask: {error}") from error
    if len(found) != 1:
        seen = f"{len(found)} files are named {name}" if found else f"no file is named {name}"
        raise DataError(
            f"Case '{case}': {seen} in {', '.join(map(str, entries))}. --mask takes the path of a file, or a name of "
            "which there is one in each case."
        )
    return found[0]


def _named(pattern: str, entries: Sequence[Path]) -> Iterator[MaskFile]:
    for entry in entries:
        for tree in _trees(entry):
            for name in tree.names:
                if PurePosixPath(name).match(pattern):
                    yield MaskFile(tree, name)


def _trees(entry: Path) -> Iterator[Tree]:
    if not entry.is_dir():
        yield zip_tree(entry)
        return
    tree = folder_tree(entry)
    yield tree
    for name in tree.names:
        if name.lower().endswith(ZIP):
            yield zip_tree(entry / name)
