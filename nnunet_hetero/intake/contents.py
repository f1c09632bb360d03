"""What an image is made of on the disk, in one word that changes with any of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from nnunet_hetero.cases.naming.names import split_ending
from nnunet_hetero.intake.files.tree import FolderTree, folder_tree
from nnunet_hetero.intake.series import Series


def contents_of(rows: Iterable[Series], folder: Path) -> dict[str, str]:
    """Modality → digest of names, sizes and times of the files that an image consists of, if it is more than one.

    A DICOM series is named by its folder, which does not change when a slice is written over; everything in the folder
    counts. So does a file of voxels beside its header. Zips and other files have a stamp of their own.

    Args:
        rows: Images of a case that are used.
        folder: The input folder.

    Raises:
        DataError: If a folder cannot be read.
    """
    found = {}
    for row in rows:
        tree = _tree(folder / row.place)
        if tree is not None:
            told = repr((tree.names, tree.stamps()))
            found[row.modality] = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
    return found


def _tree(place: Path) -> FolderTree | None:
    """The files of a series, or those beside a header; None if there are none."""
    if place.is_dir():
        return folder_tree(place)
    stem = split_ending(place.name)[0]
    beside = [file.name for file in place.parent.glob("*") if file.stem == stem or split_ending(file.name)[0] == stem]
    return FolderTree(place.parent, tuple(sorted(beside))) if len(beside) > 1 else None
