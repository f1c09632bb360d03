"""What lies in a raw folder of BraTS 2018 and later: which case and modality every file claims to be.

Two layouts are common: ``CASE/CASE_flair.nii.gz``, and, where an archive was unpacked once more than meant,
``CASE/CASE_flair.nii/any_name.nii``. Folders within a case's folder belong to the case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nnunet_hetero.errors import DataError

from .brats_releases import (
    BEFORE_2023,
    NIFTI,
    RELEASES,
    SINCE_2023,
    VSD_FORMATS,
    VSD_IMAGE,
    Release,
    names_case,
    release_of,
    split_name,
    vsd_case,
    walk,
)

# Files beside images that are none. Everything else in a case's folder may be a modality in another format.
SIDECARS = (
    *(".csv", ".tsv", ".txt", ".json", ".xml", ".html", ".md", ".pdf", ".xls", ".xlsx", ".doc", ".docx", ".log"),
    *(".png", ".jpg", ".jpeg", ".gif", ".bval", ".bvec", ".mat", ".tfm", ".yml", ".yaml", ".ini", ".db", ".py"),
)
# How files end that are meant to be a modality: those of all releases, and what people call them.
_ENDINGS = {**BEFORE_2023.endings, **SINCE_2023.endings, "t1gd": "T1c", "t1post": "T1c", "t1w": "T1"}


@dataclass(frozen=True)
class RawFile:
    """A file, and what it claims to be.

    Args:
        path: The file.
        stem: Its name without ``.nii`` or ``.nii.gz``; None if it is no NIfTI file.
        owner: The case in whose folder it lies, at any depth; None if it lies in none.
        folder: Case and modality that a folder around it names, such as ``CASE_flair.nii``; None without such a folder.
    """

    path: Path
    stem: str | None
    owner: str | None
    folder: tuple[str, str] | None

    @cached_property
    def own(self) -> tuple[str, str] | None:
        """Case and modality that its own name says."""
        parts = split_name(self.stem) if self.stem else None
        return parts[:2] if parts else None

    @cached_property
    def claim(self) -> tuple[str, str] | None:
        """Case and modality that it claims to be, by its own name or by that of the folder it is alone in."""
        return self.own or self.folder

    @property
    def contradicts(self) -> bool:
        """Whether its name says another modality than its folder."""
        if self.folder is None or self.stem is None:
            return False
        said = self.own[1] if self.own else meant_modality(self.stem)
        return (self.own is not None and self.own != self.folder) or said not in (None, self.folder[1])


@dataclass(frozen=True)
class RawFolder:
    """What `scan` found.

    Args:
        files: All files, without hidden ones, sorted by folder.
        cases: Case → its folders.
        modality_folders: Folder → case and modality that it names.
    """

    files: tuple[RawFile, ...]
    cases: dict[str, list[Path]]
    modality_folders: dict[Path, tuple[str, str]]

    @property
    def names(self) -> set[str]:
        """All cases that a folder or a file names."""
        claimed = {file.claim[0] for file in self.files if file.claim}
        return {*self.cases, *claimed, *(case for case, _ in self.modality_folders.values())}

    def empty_folders(self) -> Iterator[tuple[Path, str]]:
        """Folders that name a modality and hold no image, with the case."""
        filled: set[Path] = set()
        for file in self.files:
            if file.stem is not None:
                filled.update(file.path.parents)
        for folder, (case, _) in self.modality_folders.items():
            if folder not in filled:
                yield folder, case


def meant_modality(stem: str) -> str | None:
    """The modality, or segmentation, that the end of a file name says in any release's way; None if it says none."""
    return _ENDINGS.get(stem.replace("-", "_").rpartition("_")[2].lower())


def scan(raw: Path) -> RawFolder:
    """Walk through a folder.

    Raises:
        DataError: If it is not there, or a folder below cannot be read.
    """
    tree = {folder: files for folder, _, files in walk(raw)}
    modality_folders = {folder: named for folder in tree if folder != raw and (named := _modality_folder(folder))}
    like_cases = [folder for folder in tree if folder not in modality_folders and names_case(folder)]
    collections = _collections(like_cases)
    holding = {(folder.parent, named[0]) for folder, named in modality_folders.items()}
    cases: dict[str, list[Path]] = {}
    for folder in like_cases:
        own = (folder, folder.name) in holding or any(_is_image_of(folder.name, name) for name in tree[folder])
        if own or folder not in collections:
            cases.setdefault(folder.name, []).append(folder)
    folders: dict[Path, str] = {}
    for case, places in cases.items():
        folders.update(dict.fromkeys(places, case))
    found = []
    for folder, files in tree.items():
        around = [folder, *folder.parents]
        owner = next((folders[place] for place in around if place in folders), None)
        named = next((modality_folders[place] for place in around if place in modality_folders), None)
        for name in files:
            nifti = NIFTI.fullmatch(name)
            found.append(RawFile(folder / name, nifti["stem"] if nifti else None, owner, named))
    return RawFolder(tuple(found), cases, modality_folders)


def _modality_folder(folder: Path) -> tuple[str, str] | None:
    nifti = NIFTI.fullmatch(folder.name)
    parts = split_name(nifti["stem"] if nifti else folder.name)
    return parts[:2] if parts else None


def _is_image_of(case: str, name: str) -> bool:
    nifti = NIFTI.fullmatch(name)
    parts = split_name(nifti["stem"]) if nifti else None
    return parts is not None and parts[0] == case


def _collections(like_cases: list[Path]) -> set[Path]:
    """Folders with the name of a case, such as ``BraTS20_Training``, that hold folders of other cases."""
    names = {folder: folder.name for folder in like_cases}
    found: set[Path] = set()
    for folder in like_cases:
        found.update(around for around in folder.parents if names.get(around, folder.name) != folder.name)
    return found


def releases_in(raw: Path) -> dict[Release, int]:
    """Which releases a folder and all below it hold, and how many cases of each."""
    found = scan(raw)
    cases = found.names
    for file in found.files:
        vsd = VSD_FORMATS.fullmatch(file.path.name)
        if file.claim is None and vsd and VSD_IMAGE.fullmatch(vsd["stem"]):
            cases.add(vsd_case(file.path))
    return Counter(release for release in map(release_of, cases) if release is not None)


def require_releases(
    raw: Path, allowed: Collection[Release], expected: str, mixture: bool = False
) -> tuple[Release, ...]:
    """Check that a folder holds one release, or only such as may stand together.

    Args:
        raw: The raw folder.
        allowed: Releases that the converter takes.
        expected: What to tell when there is no case.
        mixture: Whether several of the allowed releases may stand together.

    Returns:
        The releases found.

    Raises:
        DataError: If there is no case, or there are several releases, or one that this converter does not take.
    """
    found = releases_in(raw)
    if not found:
        raise DataError(f"{raw} holds no BraTS case. {expected}.")
    if len(found) > 1 and not (mixture and all(release in allowed for release in found)):
        counts = ", ".join(f"{found[release]} of {release.title}" for release in RELEASES if release in found)
        raise DataError(
            f"{raw} mixes several BraTS releases: {counts} cases. Releases share patients under different names, which "
            "would put one patient into both training and validation, and their labels differ; convert one release at "
            "a time."
        )
    for release in found:
        if release.converter is None:
            raise DataError(f"{raw} holds {release.title}, which has one modality only; nnU-Net itself is made for it.")
        if release not in allowed:
            raise DataError(f"{raw} holds {release.title}. Convert it by: nnunet_hetero convert {release.converter}")
    return tuple(release for release in RELEASES if release in found)
