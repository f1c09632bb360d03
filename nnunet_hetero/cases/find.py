"""The cases of an input folder: which file holds which modality, and which modalities the user lets the model see."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.modalities import Modalities, Subset

FileList = Sequence[str | os.PathLike | None]


@dataclass(frozen=True)
class Case:
    """One patient's images.

    Args:
        name: Case identifier, the file name without ``_XXXX`` and file ending.
        files: One path per channel, None where there is no file.
        problem: Why the files cannot be used, None if nothing is wrong with their names.
    """

    name: str
    files: tuple[str | None, ...]
    problem: str | None = None


def kept_modalities(modalities: Modalities, missing: Iterable[str | int], available: Iterable[str | int]) -> Subset:
    """What the model may see: ``--available`` (default: everything) without ``--missing``.

    Raises:
        SettingsError: If a name is unknown or repeated, a modality is in both lists, or nothing is left.
    """
    missing, available = list(missing), list(available)
    switched_off = modalities.parse(missing, "--missing")
    kept = modalities.parse(available, "--available") if available else tuple(range(len(modalities)))
    contradiction = set(switched_off) & set(kept) if available else ()
    if contradiction:
        raise SettingsError(
            f"{modalities.label(contradiction)} stands in both --missing and --available. Name it in one of them."
        )
    kept = tuple(channel for channel in kept if channel not in switched_off)
    if not kept:
        raise SettingsError(
            f"--missing {modalities.label(switched_off)} leaves no modality. This dataset has "
            f"{modalities.label(range(len(modalities)))}; keep at least one of them."
        )
    return kept


def find_cases(source: str | os.PathLike | Sequence[FileList], modalities: Modalities, file_ending: str) -> list[Case]:
    """The cases of a folder, or of lists of files, sorted as nnU-Net sorts them.

    A folder's files are named ``CASE_XXXX`` plus the file ending, XXXX being the channel; modalities without a file are
    absent. A list holds the files of one case: named like that, in any order, or under any names but then one entry per
    channel, None for an absent one.

    Raises:
        DataError: If the folder does not exist or has no file that is named like that.
    """
    if not isinstance(source, (str, os.PathLike)):
        return [_case_of_list(files, modalities, file_ending) for files in source]
    folder = Path(source)
    if not folder.is_dir():
        raise DataError(f"The input folder {folder} does not exist. Give an existing folder with -i.")
    # macOS leaves hidden companions (._CASE_0000.nii.gz) on network drives.
    names = sorted(p.name for p in folder.iterdir() if p.name.endswith(file_ending) and not p.name.startswith("."))
    files_of_case: dict[str, list[str]] = {}
    unnamed = []
    for name in names:
        match = _pattern(file_ending).fullmatch(name)
        if match:
            files_of_case.setdefault(match["case"], []).append(str(folder / name))
        else:
            unnamed.append(name)
    if not files_of_case:
        found = f"It has {len(unnamed)} other file(s) with this ending, e.g. {unnamed[0]}." if unnamed else ""
        raise DataError(
            f"The input folder {folder} has no image named CASE_XXXX{file_ending} (XXXX is the channel, e.g. "
            f"CASE_0000{file_ending} for {modalities.names[0]}). {found}".rstrip()
        )
    if unnamed:
        print(f"Ignored {len(unnamed)} file(s) without a channel number _XXXX in their name, e.g. {unnamed[0]}.")
    return [_case_of_list(files_of_case[name], modalities, file_ending) for name in sorted(files_of_case)]


def _pattern(file_ending: str) -> re.Pattern:
    return re.compile(r"(?P<case>.+)_(?P<channel>\d{4})" + re.escape(file_ending))


def _case_of_list(entries: FileList, modalities: Modalities, file_ending: str) -> Case:
    paths = [None if entry is None else str(entry) for entry in entries]
    files = [path for path in paths if path is not None]
    if not files:
        raise DataError("A case was given as a list without any file. Leave the case out, or name at least one file.")
    matches = [_pattern(file_ending).fullmatch(os.path.basename(file)) for file in files]
    known = ", ".join(f"{number:04d} {name}" for number, name in enumerate(modalities.names))
    if not all(matches):
        name = os.path.basename(files[0]).removesuffix(file_ending)
        problem = None
        if len(paths) != len(modalities):
            problem = (
                f"Case '{name}': the list has {len(paths)} entries, and not all are named CASE_XXXX{file_ending}. Name "
                f"them like that, or give one entry per channel (None for an absent one): {known}."
            )
        return Case(name, tuple(paths), problem)
    name = matches[0]["case"]
    channels = [int(match["channel"]) for match in matches]
    for file, channel in zip(files, channels, strict=True):
        if channel >= len(modalities):
            problem = (
                f"Case '{name}': file {file} is channel {channel}, but the dataset has {len(modalities)} channels: "
                f"{known}. Rename or remove the file."
            )
            return Case(name, tuple(files), problem)
    repeated = [channel for channel, count in Counter(channels).items() if count > 1]
    if repeated:
        channel = repeated[0]
        given = [file for file, number in zip(files, channels, strict=True) if number == channel]
        problem = f"Case '{name}': channel {channel} ({modalities.names[channel]}) is given more than once: {given}."
        return Case(name, tuple(files), problem)
    file_of = dict(zip(channels, files, strict=True))
    return Case(name, tuple(file_of.get(channel) for channel in range(len(modalities))))
