"""Finding cases in the raw folders of BraTS 2018, 2019, 2020 and 2021."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from nnunet_hetero.errors import DataError

from .cases import RawCase

# Endings of the image files, in channel order, and what the channels are called.
CHANNELS = {"t1": "T1", "t1ce": "T1c", "t2": "T2", "flair": "FLAIR"}

# How case names begin in each year's release.
_CASE_NAMES = {
    "2018": re.compile(r"brats18_\w[\w.-]*", re.IGNORECASE),
    "2019": re.compile(r"brats19_\w[\w.-]*", re.IGNORECASE),
    "2020": re.compile(r"brats20_\w[\w.-]*", re.IGNORECASE),
    "2021": re.compile(r"brats2021_\d+", re.IGNORECASE),  # digits: the archive's folder is BraTS2021_Training_Data
}
_NIFTI = re.compile(r"(?P<stem>.+?)\.nii(\.gz)?", re.IGNORECASE)
_FILE = re.compile(r"(?P<case>.+)_(?P<what>t1|t1ce|t2|flair|seg)", re.IGNORECASE)
# BraTS 2020 has the segmentation of BraTS20_Training_355 under its name at the clinic, W39_1998.09.19_Segm.nii.
_SEGMENTATION_ELSEWISE = re.compile(r".*_segm", re.IGNORECASE)

_EXPECTED = (
    "Expected is a raw BraTS folder of 2018 to 2021 with files such as HGG/Brats18_CBICA_AQN_1/"
    "Brats18_CBICA_AQN_1_t1ce.nii.gz, BraTS20_Training_001/BraTS20_Training_001_flair.nii or "
    "BraTS2021_00000/BraTS2021_00000_seg.nii.gz"
)


@dataclass(frozen=True)
class BratsCohort:
    """What a raw BraTS folder holds.

    Args:
        raw: The folder.
        year: "2018" to "2021".
        cases: Its cases, sorted by name.
    """

    raw: Path
    year: str
    cases: tuple[RawCase, ...]


@dataclass
class _Found:
    """Files of one case, gathered while walking through the folder."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    unknown: list[Path] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    grade: str | None = None


def case_year(name: str) -> str | None:
    """The BraTS release that a case name belongs to, or None if it is no BraTS case name."""
    return next((year for year, pattern in _CASE_NAMES.items() if pattern.fullmatch(name)), None)


def find_brats_cases(raw: str | Path) -> BratsCohort:
    """Search a folder and all below it for BraTS cases, by the names of files and folders.

    Args:
        raw: Folder with case folders at any depth, or with all files in one place.

    Returns:
        The cases found; those whose names show a problem have it in `RawCase.problem`.

    Raises:
        DataError: If the folder is not there, holds no case, or mixes releases of several years.
    """
    raw = Path(raw)
    if not raw.is_dir():
        raise DataError(f"The raw folder {raw} does not exist or is not a folder.")
    found: dict[str, _Found] = {}
    for folder, subfolders, files in _walk(raw):
        _gather(folder, subfolders, files, found)
    if not found:
        raise DataError(f"{raw} holds no BraTS case. {_EXPECTED}.")
    years = Counter(case_year(name) for name in found)
    if len(years) > 1:
        counts = ", ".join(f"{count} of BraTS {year}" for year, count in sorted(years.items()))
        raise DataError(
            f"{raw} mixes several BraTS releases: {counts} cases. Releases share patients under different names, which "
            "would put one patient into both training and validation; convert one release at a time."
        )
    cases = tuple(_to_case(name, found[name]) for name in sorted(found))
    return BratsCohort(raw, next(iter(years)), cases)


def _refuse(error: OSError) -> NoReturn:
    """Stop at a folder that cannot be read: leaving it out would quietly lose its cases."""
    raise DataError(f"{error.filename} cannot be read ({error.strerror}). Check its permissions.") from error


def _walk(raw: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """`os.walk` that follows links once each and leaves out hidden folders and the litter of macOS archives."""
    seen = set()
    for folder, subfolders, files in os.walk(raw, onerror=_refuse, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            subfolders.clear()
            continue
        seen.add(place)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        yield Path(folder), subfolders, sorted(name for name in files if not name.startswith("."))


def _gather(folder: Path, subfolders: list[str], files: list[str], found: dict[str, _Found]) -> None:
    """Sort the NIfTI files of one folder into `found`."""
    owner = folder.name if case_year(folder.name) and not subfolders else None
    if owner is not None:
        found.setdefault(owner, _Found()).grade = _grade(folder)
    for name in files:
        nifti = _NIFTI.fullmatch(name)
        if nifti is None:
            continue
        match = _FILE.fullmatch(nifti["stem"])
        case = match["case"] if match and case_year(match["case"]) else None
        if case is not None and owner in (None, case):
            entry = found.setdefault(case, _Found())
            entry.grade = entry.grade or _grade(folder)
            entry.files.setdefault(match["what"].lower(), []).append(folder / name)
        elif case is not None and owner is not None:
            for either in (case, owner):
                found.setdefault(either, _Found()).misplaced.append(str(folder / name))
        elif owner is not None and _SEGMENTATION_ELSEWISE.fullmatch(nifti["stem"]):
            found[owner].files.setdefault("seg", []).append(folder / name)
        elif owner is not None:
            found[owner].unknown.append(folder / name)


def _grade(folder: Path) -> str | None:
    return next((part.upper() for part in reversed(folder.parts) if part.upper() in ("HGG", "LGG")), None)


def _to_case(name: str, found: _Found) -> RawCase:
    """Judge the files of one case."""
    images = tuple(found.files.get(what, [None])[0] for what in CHANNELS)
    labels = found.files.get("seg", [None])
    doubles = {what: paths for what, paths in found.files.items() if len(paths) > 1}
    gaps = [channel for channel, path in zip(CHANNELS.values(), images, strict=True) if path is None]
    problem = None
    if found.misplaced:
        problem = f"folder and file name different cases: {', '.join(found.misplaced)}. Rename or move the file."
    elif doubles:
        what, paths = next(iter(doubles.items()))
        problem = (
            f"{len(paths)} files claim to be its {CHANNELS.get(what, 'segmentation')}: {', '.join(map(str, paths))}. "
            "Keep one."
        )
    elif len(gaps) == len(CHANNELS):
        problem = "it has no image file named CASE_t1, CASE_t1ce, CASE_t2 or CASE_flair, .nii or .nii.gz."
    elif found.unknown and (gaps or labels[0] is None):
        # Otherwise a misspelt file name would quietly turn into an absent modality.
        lacking = gaps + ([] if labels[0] else ["segmentation"])
        problem = (
            f"it lacks {', '.join(lacking)}, but has files of unknown meaning: {', '.join(map(str, found.unknown))}. "
            f"Rename them to {name}_t1, _t1ce, _t2, _flair or _seg, or remove them."
        )
    return RawCase(name, images, labels[0], problem, patient=_patient(name), site=_site(name), grade=found.grade)


def _patient(name: str) -> str:
    """The case name without the number of the scan, which 2018 and 2019 have at its end."""
    return re.sub(r"_\d+$", "", name) if case_year(name) in ("2018", "2019") else name


def _site(name: str) -> str | None:
    """The institution, which names of 2018 and 2019 have in second place; TCIA01 to TCIA13 count as one, TCIA."""
    return re.sub(r"(?<=TCIA)\d+$", "", name.split("_")[1]) if case_year(name) in ("2018", "2019") else None
