"""Finding cases in the raw folders of BraTS 2018 and later, by the names of files and folders."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_hetero.errors import DataError

from .brats_releases import (
    BRATS_2018,
    BRATS_2019,
    CHANNELS,
    NIFTI,
    SEGMENTATION,
    Release,
    grade_of,
    names_case,
    release_of,
    require_releases,
    split_name,
    walk,
)
from .cases import RawCase

# BraTS 2020 has the segmentation of BraTS20_Training_355 under its name at the clinic, W39_1998.09.19_Segm.nii.
_SEGMENTATION_ELSEWISE = re.compile(r".*_segm", re.IGNORECASE)
# The table that comes with BraTS 2019 and 2020: grades, and names in earlier releases, which tell the site.
_MAPPING = re.compile(r"name_mapping.*\.csv", re.IGNORECASE)


@dataclass(frozen=True)
class BratsCohort:
    """What a raw BraTS folder holds.

    Args:
        raw: The folder.
        releases: What it holds; one, unless several may stand together.
        cases: Its cases, sorted by name.
    """

    raw: Path
    releases: tuple[Release, ...]
    cases: tuple[RawCase, ...]

    @property
    def title(self) -> str:
        """Names of the releases."""
        return " + ".join(release.title for release in self.releases)


@dataclass
class Found:
    """Files of one case, gathered while walking through the folder."""

    files: dict[str, list[Path]] = field(default_factory=dict)
    unknown: list[Path] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    grade: str | None = None

    def add(self, what: str, path: Path) -> None:
        """Note a file that claims to be this modality, or the segmentation."""
        self.files.setdefault(what, []).append(path)

    def images(self) -> tuple[Path | None, ...]:
        """One file per channel; None where there is none."""
        return tuple(self.files.get(channel, [None])[0] for channel in CHANNELS)

    def label(self) -> Path | None:
        """The segmentation, if there is one."""
        return self.files.get(SEGMENTATION, [None])[0]

    def problem(self, case: str, hint: str) -> str | None:
        """Why these files make no case, or None.

        Args:
            case: Its name.
            hint: How the files must be named.
        """
        gaps = [channel for channel in CHANNELS if channel not in self.files]
        if self.misplaced:
            return f"folder and file name different cases: {', '.join(self.misplaced)}. Rename or move the file."
        for what, paths in self.files.items():
            if len(paths) > 1:
                return f"{len(paths)} files claim to be its {what}: {', '.join(map(str, paths))}. Keep one."
        if len(gaps) == len(CHANNELS):
            return f"it has no image file; expected are files named {hint}."
        if self.unknown and (gaps or not self.label()):
            # Otherwise a misspelt file name would quietly turn into an absent modality.
            lacking = gaps + ([] if self.label() else [SEGMENTATION])
            unknown = ", ".join(map(str, self.unknown))
            return (
                f"it lacks {', '.join(lacking)}, but has files of unknown meaning: {unknown}. "
                f"Rename them to {hint.replace('CASE', case)}, or remove them."
            )
        return None


def find_brats_cases(
    raw: str | Path, allowed: Collection[Release], expected: str, mixture: bool = False
) -> BratsCohort:
    """Search a folder and all below it for BraTS cases.

    Args:
        raw: Folder with case folders at any depth, or with all files in one place.
        allowed: Releases that the converter takes.
        expected: What to tell when there is no case.
        mixture: Whether several of the allowed releases may stand together.

    Returns:
        The cases found; those whose names show a problem have it in `RawCase.problem`.

    Raises:
        DataError: If the folder is not there, holds no case, mixes releases, or holds one of another converter.
    """
    raw = Path(raw)
    releases = require_releases(raw, allowed, expected, mixture)
    found: dict[str, Found] = {}
    mapping: dict[str, dict[str, str]] = {}
    for folder, subfolders, files in walk(raw):
        _gather(folder, subfolders, files, found)
        for name in files:
            if _MAPPING.fullmatch(name):
                mapping.update(_read_mapping(folder / name))
    return BratsCohort(raw, releases, tuple(_to_case(name, found[name], mapping) for name in sorted(found)))


def _gather(folder: Path, subfolders: list[str], files: list[str], found: dict[str, Found]) -> None:
    """Sort the NIfTI files of one folder into `found`."""
    owner = folder.name if names_case(folder) and not subfolders else None
    if owner is not None:
        found.setdefault(owner, Found()).grade = grade_of(folder)
    for name in files:
        nifti = NIFTI.fullmatch(name)
        if nifti is None:
            continue
        parts = split_name(nifti["stem"])
        if parts is not None and owner in (None, parts[0]):
            case, what, _ = parts
            entry = found.setdefault(case, Found())
            entry.grade = entry.grade or grade_of(folder)
            entry.add(what, folder / name)
        elif parts is not None and owner is not None:
            for either in (parts[0], owner):
                found.setdefault(either, Found()).misplaced.append(str(folder / name))
        elif owner is not None and _SEGMENTATION_ELSEWISE.fullmatch(nifti["stem"]):
            found[owner].add(SEGMENTATION, folder / name)
        elif owner is not None:
            found[owner].unknown.append(folder / name)


def _read_mapping(file: Path) -> dict[str, dict[str, str]]:
    """Rows of ``name_mapping.csv`` by each of the case names in them."""
    with open(file, newline="", encoding="utf-8-sig", errors="replace") as stream:
        rows = list(csv.DictReader(stream))
    return {name: row for row in rows for name in row.values() if isinstance(name, str) and release_of(name)}


def _to_case(name: str, found: Found, mapping: dict[str, dict[str, str]]) -> RawCase:
    release = release_of(name)
    if release is None or release.naming is None:  # `_gather` takes no other names
        raise DataError(f"'{name}' is no BraTS case name.")
    hint = ", ".join(f"CASE{release.naming.separator}{ending}" for ending in release.naming.endings)
    row = mapping.get(name, {})
    return RawCase(
        name,
        found.images(),
        found.label(),
        found.problem(name, f"{hint}, .nii or .nii.gz"),
        patient=release.patient(name),
        site=_site(name) or next(filter(None, map(_site, filter(None, row.values()))), None),
        grade=found.grade or (row["Grade"] if row.get("Grade") in ("HGG", "LGG") else None),
    )


def _site(name: str) -> str | None:
    """The institution, which names of 2018 and 2019 have in second place; TCIA01 to TCIA13 count as one, TCIA."""
    if release_of(name) in (BRATS_2018, BRATS_2019):
        return re.sub(r"(?<=TCIA)\d+$", "", name.split("_")[1])
    return None
