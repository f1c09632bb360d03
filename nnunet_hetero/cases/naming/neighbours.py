"""Files beside a file: what a reader could read in its stead, and what could be meant by one that is not there."""

from __future__ import annotations

import os
from pathlib import Path

from nnunet_hetero.cases.naming.names import NO_IMAGE_WORDS, SEPARATORS, is_image_ending, split_ending
from nnunet_hetero.errors import DataError

PAIRS = ((".hdr", ".img"), (".hdr.gz", ".img.gz"), (".hdr", ".img.gz"))
"""Header and voxels of one image."""

FAMILIES = ((".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz"), (".mhd", ".nhdr"))
"""Endings among which a reader looks for the voxels of one image: ITK, asked for ``X.nii.gz``, takes the header from it
and the voxels from ``X.nii`` beside it. The second ones share ``X.raw``."""


def read_instead(file: str | os.PathLike) -> list[str]:
    """Files beside a file that a reader could read instead of it, or in part."""
    folder, name = os.path.split(file)
    stem, ending = split_ending(name)
    family = next((family for family in FAMILIES if ending.lower() in family), ())
    found = []
    for other in (*family, *map(str.upper, family)):
        path = os.path.join(folder, stem + other)
        if other == ending or _is_pair(ending, other) or not os.path.isfile(path):
            continue
        # Where upper and lower case are the same, it is the file itself.
        if not (os.path.isfile(file) and os.path.samefile(path, file)):
            found.append(path)
    return found


def _is_pair(ending: str, other: str) -> bool:
    return tuple(sorted((ending.lower(), other.lower()))) in PAIRS


def refuse_mixture(file: str | os.PathLike, what: str) -> None:
    """Refuse to have a file read beside which a reader could read another one.

    Args:
        file: Path.
        what: Case, channel and file, the start of the error's text.

    Raises:
        DataError: If there is one.
    """
    others = read_instead(file)
    if others:
        raise DataError(
            f"{what} has {os.path.basename(others[0])} beside it. Readers take the header from one of them and the "
            "voxels from the other. Keep the right one, and move the other away."
        )


def meant_instead(file: str | os.PathLike) -> list[str]:
    """Files that could be meant by a file that is not there: of the same name but for letters or ending, or a word such
    as ``seg``.
    """
    folder = Path(file).parent
    wanted = split_ending(Path(file).name)[0].lower()
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        stem, ending = split_ending(path.name)
        stem = stem.lower()
        word = stem.removeprefix(wanted).strip(SEPARATORS)
        if is_image_ending(ending) and (stem == wanted or (stem.startswith(wanted) and word in NO_IMAGE_WORDS)):
            found.append(str(path))
    return [path for path in found if path != str(file)]
