"""Outputs that would stand among the inputs, or in their place, are refused before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from nnunet_hetero.errors import SettingsError

Place = str | os.PathLike

DATA_SET_FOLDERS = ("imagesTr", "imagesTs", "labelsTr", "labelsTs")

OWN_FOLDERS = {
    "the folder of a model": ("plans.json", "fold_*/"),
    "the folder of a trained fold": ("*.pth",),
    "a data set": ("dataset.json", "imagesTr/"),
    "a preprocessed data set": ("dataset.json", "*Plans*.json"),
}
"""Folders that are neither inputs nor outputs, and patterns of which each fits something in them."""


def require_apart(written: Iterable[Place], inputs: Mapping[str, Place | None]) -> None:
    """Refuse to write to an input folder, or to one in it, however it is spelt: by links, ``..`` or another case.

    Args:
        written: Folders to write to; they need not be there.
        inputs: What they are to the user, such as ``-i``, and the folders; None for what was not given.

    Raises:
        SettingsError: If a folder to write to is, or lies in, an input, or is part of a data set in nnU-Net's format.
    """
    for folder in map(Path, written):
        parents = _with_parents(folder)
        for name, place in inputs.items():
            if place is None or not os.path.isdir(place):
                continue
            same = [parent for parent in parents if _is_same(parent, place)]
            if same:
                where = "is" if same[0] == parents[0] else "lies in"
                raise SettingsError(
                    f"The output folder {folder} {where} the input folder {place} ({name}): results would stand among "
                    "the inputs, or in their place. Nothing was written; choose another output folder."
                )
        data_set = [parent for parent in parents if _is_of_data_set(parent)]
        if data_set:
            raise SettingsError(
                f"The output folder {folder} belongs to the data set {data_set[0].parent}: results would be taken for "
                "its images or labels. Nothing was written; choose another output folder."
            )


def require_no_model_or_data_set(folder: Place) -> None:
    """Refuse to write predictions to the folder of a model, of one of its folds, or of a data set: files of the same
    names, such as ``dataset.json``, would be replaced there.

    Args:
        folder: To write to; it need not be there.

    Raises:
        SettingsError: If it is one.
    """
    for what, patterns in OWN_FOLDERS.items():
        if all(any(Path(folder).glob(pattern)) for pattern in patterns):
            raise SettingsError(
                f"The output folder {folder} is {what}: files of it, such as dataset.json, would be replaced. Nothing "
                "was written; choose another output folder."
            )


def require_new_names(outputs: Iterable[Place], inputs: Iterable[Place]) -> None:
    """Refuse files to write that are inputs, or the same file twice.

    Args:
        outputs: Files to write, or to remove.
        inputs: Files to read.

    Raises:
        SettingsError: If one is both, or is to be written twice.
    """
    names: dict[str, Place] = {}
    numbers: dict[tuple[int, int] | None, Place] = {}
    for file in inputs:
        names[_identity(file)] = file
        if (number := _number(file)) is not None:
            numbers[number] = file
    seen: dict[str, Place] = {}
    for file in outputs:
        identity = _identity(file)
        read = names.get(identity) or numbers.get(_number(file))
        if read is not None:
            raise SettingsError(
                f"{file} would be written, but it is the input {read}. Nothing was written; choose another output "
                "folder, or another name for the case."
            )
        if identity in seen:
            raise SettingsError(
                f"Two cases would be written to the same file, {file}. Nothing was written; rename one of them."
            )
        seen[identity] = file


def require_replaceable(file: Place, is_own: Callable[[Path], bool], what: str) -> None:
    """Refuse to replace a file of another kind than the one that is to be written: a slip must not cost it.

    Args:
        file: To write; it need not be there.
        is_own: Whether a file is of that kind.
        what: The kind, in words.

    Raises:
        SettingsError: If it is there, holds something, and is of another kind; or if it is a folder.
    """
    file = Path(file)
    if file.is_dir():
        raise SettingsError(f"{file} is a folder. Give the name of a file, such as one in it.")
    if file.is_file() and file.stat().st_size and not is_own(file):
        raise SettingsError(
            f"{file} is there already, and is not {what}: it would be replaced. Nothing was written; choose another "
            "name, or remove it."
        )


def _with_parents(folder: Path) -> list[Path]:
    """The folder and all above it, without links."""
    real = Path(os.path.realpath(folder))
    return [real, *real.parents]


def _is_same(one: Place, other: Place) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # not there yet
        return os.path.realpath(one) == os.path.realpath(other)


def _is_of_data_set(folder: Path) -> bool:
    names = [name.lower() for name in DATA_SET_FOLDERS]
    return folder.name.lower() in names and (folder.parent / "dataset.json").is_file()


def _identity(file: Place) -> str:
    folder, name = os.path.split(os.path.abspath(file))
    return os.path.join(os.path.realpath(folder), name)


def _number(file: Place) -> tuple[int, int] | None:
    """What the file system calls a file, by whichever name; None if it is not there."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino
