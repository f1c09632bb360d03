"""Finding cases in the raw folders of BraTS 2018 and later, by the names of files and folders."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_hetero.errors import DataError

from .brats_releases import (
    BRATS_2018,
    BRATS_2019,
    CHANNELS,
    SEGMENTATION,
    Release,
    grade_of,
    release_of,
)
from .brats_scan import SIDECARS, RawFile, RawFolder, meant_modality, require_releases, scan
from .writing.cases import RawCase

# BraTS 2020 has the segmentation of BraTS20_Training_355 under its name at the clinic, W39_1998.09.19_Segm.nii.
_SEGMENTATION_ELSEWISE = re.compile(r".*_segm", re.IGNORECASE)
# The table that comes with BraTS 2019 and 2020: grades, and names in earlier releases, which tell the site.
_LISTED = 6
_MAPPING = re.compile(r"name_mapping.*\.csv", re.IGNORECASE)


@dataclass(frozen=True)
class BratsCohort:
    """What a raw BraTS folder holds.

    Args:
        raw: The folder.
        releases: What it holds; one, unless several may stand together.
        cases: Its cases, sorted by name.
        ignored: NIfTI files that name no case and no modality.
    """

    raw: Path
    releases: tuple[Release, ...]
    cases: tuple[RawCase, ...]
    ignored: tuple[Path, ...] = ()

    @property
    def title(self) -> str:
        """Names of the releases."""
        return " + ".join(release.title for release in self.releases)


@dataclass
class Found:
    """Files of one case, gathered while walking through the folder.

    Args:
        files: Modality, or segmentation → the files that claim to be it.
        unknown: Images of unknown meaning.
        others: Files in another format, one of which may be a modality.
        empty: Folders named like an image that hold none.
        misplaced: Files whose names and folders disagree, in words.
        grade: HGG or LGG, where a folder says it.
    """

    files: dict[str, list[Path]] = field(default_factory=dict)
    unknown: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
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
            return f"folder and file name different cases: {_list(self.misplaced)}. Rename or move the file."
        for what, paths in self.files.items():
            if len(paths) > 1:
                return f"{len(paths)} files claim to be its {what}: {_list(paths)}. Keep one."
        doubtful = [*self.unknown, *(self.others if gaps else ())]
        if len(gaps) == len(CHANNELS):
            there = f" It has {_list(doubtful)}." if doubtful else ""
            return f"it has no image file; expected are files named {hint}.{there}"
        if self.empty:
            return f"{_list(self.empty)} has the name of an image and holds none. Unpack it again, or remove it."
        if doubtful and (gaps or not self.label()):
            # Otherwise a misspelt file name would quietly turn into an absent modality.
            lacking = gaps + ([] if self.label() else [SEGMENTATION])
            return (
                f"it lacks {', '.join(lacking)}, but has files of unknown meaning: {_list(doubtful)}. "
                f"Rename them to {hint.replace('CASE', case)}, or remove them."
            )
        return None


def _list(entries: Sequence[str | Path]) -> str:
    more = f" and {len(entries) - _LISTED} more" if len(entries) > _LISTED else ""
    return ", ".join(map(str, entries[:_LISTED])) + more


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
    content = scan(raw)
    found, strays = _gather(content)
    mapping: dict[str, dict[str, str]] = {}
    for file in content.files:
        if _MAPPING.fullmatch(file.path.name):
            mapping.update(_read_mapping(file.path))
    cases = [_to_case(name, found[name], mapping) for name in sorted(found)]
    cases += _misspelt_cases([file for file in strays if meant_modality(file.stem or "")], found)
    ignored = tuple(file.path for file in strays if not meant_modality(file.stem or ""))
    return BratsCohort(raw, releases, tuple(sorted(cases, key=lambda case: case.name)), ignored)


def _gather(content: RawFolder) -> tuple[dict[str, Found], list[RawFile]]:
    """Files by case, and the images that belong to none."""
    found: dict[str, Found] = {}
    for case, folders in content.cases.items():
        found[case] = Found(grade=next(filter(None, map(grade_of, folders)), None))
    for file in content.files:
        if file.claim is not None and file.stem is not None:
            _sort(file, found)
    for folder, case in content.empty_folders():
        found.setdefault(case, Found()).empty.append(folder)
    strays = []
    for file in content.files:
        if file.claim is not None and file.stem is not None:
            continue
        owner = file.owner or (_case_in_name(file.stem, found) if file.stem else None)
        if owner is None:
            strays += [file] if file.stem else []
        elif file.stem is None:
            if not file.path.name.lower().endswith(SIDECARS):
                found[owner].others.append(file.path)
        elif _SEGMENTATION_ELSEWISE.fullmatch(file.stem) and file.owner:
            found[owner].add(SEGMENTATION, file.path)
        else:
            found[owner].unknown.append(file.path)
    return found, strays


def _sort(file: RawFile, found: dict[str, Found]) -> None:
    """Note a file that claims to be a modality of a case, unless its name and its folders disagree."""
    case, what = file.claim or ("", "")
    others = {file.owner, file.folder[0] if file.folder else None} - {None, case}
    if others:
        for either in (case, *sorted(filter(None, others))):
            found.setdefault(either, Found()).misplaced.append(str(file.path))
        return
    entry = found.setdefault(case, Found())
    entry.grade = entry.grade or grade_of(file.path.parent)
    if file.contradicts:
        entry.unknown.append(file.path)
    else:
        entry.add(what, file.path)


def _case_in_name(stem: str, found: Collection[str]) -> str | None:
    """The case that a file name begins with, though it does not go on as it should."""
    fitting = [case for case in found if re.match(rf"{re.escape(case)}(?![0-9])", stem, re.IGNORECASE)]
    return max(fitting, key=len, default=None)


def _misspelt_cases(files: Sequence[RawFile], found: Collection[str]) -> list[RawCase]:
    """Files that end like a modality, of cases whose names are none: nobody would miss such a case otherwise."""
    by_name: dict[str, list[Path]] = {}
    for file in files:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", re.sub(r"[-_][^-_]*$", "", file.stem or "")).strip("._-") or "unnamed"
        by_name.setdefault(name if name not in found else f"{name}_", []).append(file.path)
    return [
        RawCase(
            name,
            (None,) * len(CHANNELS),
            None,
            f"{_list(paths)}: this is no name of a BraTS case. Rename the files, or move them elsewhere.",
        )
        for name, paths in by_name.items()
    ]


def _read_mapping(file: Path) -> dict[str, dict[str, str]]:
    """Rows of ``name_mapping.csv`` by each of the case names in them."""
    try:
        with open(file, newline="", encoding="utf-8-sig", errors="replace") as stream:
            rows = list(csv.DictReader(stream))
    except csv.Error as error:
        raise DataError(f"{file} is no CSV table ({error}). Put back the one of the release, or remove it.") from error
    by_name = {}
    for row in rows:
        names = [name for name in row.values() if isinstance(name, str) and release_of(name)]
        by_name |= dict.fromkeys(names, row)
    return by_name


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
