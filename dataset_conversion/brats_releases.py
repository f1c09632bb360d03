"""The releases of BraTS, told apart by the names of their cases; a folder that mixes them is refused.

Names as the challenges distribute them: BraTS 2018 to 2021 ``CASE_t1ce.nii.gz``, BraTS 2023 and later
``CASE-t1c.nii.gz``, the years before as ``VSD.Brain.XX.O.MR_T1c.NUMBER.mha``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nnunet_hetero.cases.naming.names import not_here
from nnunet_hetero.errors import DataError

CHANNELS = ("T1", "T1c", "T2", "FLAIR")
SEGMENTATION = "segmentation"
NIFTI = re.compile(r"(?P<stem>.+?)\.nii(\.gz)?", re.IGNORECASE)
# Virtual Skeleton Database, which distributed the first releases.
VSD_IMAGE = re.compile(r"VSD\.Brain\.\w+\.\w+\.MR_(?P<what>T1c|T1|T2|Flair)(\.\d+)?", re.IGNORECASE)
VSD_FORMATS = re.compile(r"(?P<stem>.+?)\.(mha|mhd|nii|nii\.gz)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Naming:
    """How files of a case are named: ``CASE`` + separator + ending.

    Args:
        separator: Between the case's name and the ending.
        endings: Ending, in small letters → the modality, or `SEGMENTATION`.
    """

    separator: str
    endings: dict[str, str]

    def split(self, stem: str) -> tuple[str, str] | None:
        """The case's name and what the file is, or None if the name does not end as it should."""
        case, _, ending = stem.rpartition(self.separator)
        return (case, self.endings[ending.lower()]) if case and ending.lower() in self.endings else None


BEFORE_2023 = Naming("_", {"t1": "T1", "t1ce": "T1c", "t2": "T2", "flair": "FLAIR", "seg": SEGMENTATION})
SINCE_2023 = Naming("-", {"t1n": "T1", "t1c": "T1c", "t2w": "T2", "t2f": "FLAIR", "seg": SEGMENTATION})
RADIOTHERAPY = Naming("_", {"t1c": "T1c", "gtv": SEGMENTATION})


@dataclass(frozen=True, eq=False)
class Release:
    """One release of BraTS.

    Args:
        title: What to call it.
        case: Matches its case names as a whole.
        converter: Which ``nnunet_hetero convert`` takes it; None if none does.
        naming: How its files are named; None for the Virtual Skeleton Database's way.
        scan: Matches the end of a case name that tells the patient's scans apart; None if there is none.
    """

    title: str
    case: re.Pattern[str]
    converter: str | None
    naming: Naming | None
    scan: re.Pattern[str] | None = None

    def patient(self, case: str) -> str:
        """The case's name without the number of the scan."""
        return self.scan.sub("", case) if self.scan else case


def _release(title: str, case: str, converter: str | None, naming: Naming | None, scan: str | None = None) -> Release:
    pattern = re.compile(scan) if scan else None
    return Release(title, re.compile(case, re.IGNORECASE), converter, naming, pattern)


BRATS_2012_2013 = _release("BraTS 2012-2013", r"(HGG|LGG)_\d+", "brats2015", None)
SYNTHETIC = _release("BraTS 2012-2013 synthetic", r"Sim(HGG|LGG)_\d+", "brats2015", None)
BRATS_2015 = _release("BraTS 2015", r"((HGG|LGG)_)?brats_(2013|tcia)_pat\w+", "brats2015", None, r"_[^_]+$")
BRATS_2018 = _release("BraTS 2018", r"brats18_\w[\w.-]*", "brats", BEFORE_2023, r"_\d+$")
BRATS_2019 = _release("BraTS 2019", r"brats19_\w[\w.-]*", "brats", BEFORE_2023, r"_\d+$")
BRATS_2020 = _release("BraTS 2020", r"brats20_\w[\w.-]*", "brats", BEFORE_2023)
# Digits: the archive's folder is called BraTS2021_Training_Data.
BRATS_2021 = _release("BraTS 2021", r"brats2021_\d+", "brats", BEFORE_2023)
GLIOMA_2023 = _release("BraTS 2023 glioma", r"BraTS-GLI-\d+-0\d\d", "brats2023", SINCE_2023, r"-\d+$")
# Scans after treatment are counted from 100.
GLIOMA_2024 = _release(
    "BraTS 2024 post-treatment glioma", r"BraTS-GLI-\d+-[1-9]\d\d", "brats2023", SINCE_2023, r"-\d+$"
)
MENINGIOMA = _release("BraTS meningioma", r"BraTS-MEN-\d+-\d+", "brats2023", SINCE_2023, r"-\d+$")
METASTASES = _release("BraTS metastases", r"BraTS-MET-\d+-\d+", "brats2023", SINCE_2023, r"-\d+$")
PEDIATRIC = _release("BraTS pediatric", r"BraTS-PED-\d+-\d+", "brats2023", SINCE_2023, r"-\d+$")
AFRICA = _release("BraTS Sub-Saharan Africa", r"BraTS-SSA-\d+-\d+", "brats2023", SINCE_2023, r"-\d+$")
MENINGIOMA_RADIOTHERAPY = _release(
    "BraTS 2024 meningioma radiotherapy", r"BraTS-MEN-RT-\d+-\d+", None, RADIOTHERAPY, r"-\d+$"
)
RELEASES = (
    *(BRATS_2012_2013, SYNTHETIC, BRATS_2015, BRATS_2018, BRATS_2019, BRATS_2020, BRATS_2021, GLIOMA_2023),
    *(GLIOMA_2024, MENINGIOMA, METASTASES, PEDIATRIC, AFRICA, MENINGIOMA_RADIOTHERAPY),
)


def release_of(case: str) -> Release | None:
    """The release that a case name belongs to, or None if it is no BraTS case name."""
    return next((release for release in RELEASES if release.case.fullmatch(case)), None)


def names_case(folder: Path) -> bool:
    """Whether a folder has the name of a case that was not distributed by the Virtual Skeleton Database."""
    release = release_of(folder.name)
    return release is not None and release.naming is not None


def split_name(stem: str) -> tuple[str, str, Release] | None:
    """Case, what the file is, and release of a file name without its ending; None for other names."""
    for naming in (BEFORE_2023, SINCE_2023, RADIOTHERAPY):
        parts = naming.split(stem)
        release = release_of(parts[0]) if parts else None
        if parts and release is not None and release.naming is naming:
            return *parts, release
    return None


def vsd_case(file: Path) -> str:
    """Name of the case that a file of the Virtual Skeleton Database belongs to, from the folders above it.

    High- and low-grade cases have the same numbers, so the grade is part of the name.
    """
    patient = next(folder for folder in file.parents if not folder.name.upper().startswith("VSD."))
    grade = grade_of(patient)
    synthetic = any(part.lower() == "synthetic_data" for part in Path(os.path.realpath(file)).parts)
    return f"{'Sim' if synthetic else ''}{f'{grade}_' if grade else ''}{patient.name}"


def grade_of(folder: Path) -> str | None:
    """HGG or LGG, by the nearest folder of that name (or HG, LG) above."""
    for part in reversed(folder.parts):
        if part.upper() in ("HGG", "LGG", "HG", "LG"):
            return f"{part[0].upper()}GG"
    return None


def walk(raw: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """`os.walk` that follows links once each and leaves out hidden folders and the litter of macOS archives.

    Hidden files that stand for an image which is not there are kept, see `not_here`.

    Raises:
        DataError: If the folder is not there, or one below cannot be read: leaving it out would lose cases.
    """
    if not raw.is_dir():
        raise DataError(f"The raw folder {raw} does not exist or is not a folder. Name another one.")
    seen = set()
    for folder, subfolders, files in os.walk(raw, onerror=_refuse, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            subfolders.clear()
            continue
        seen.add(place)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        yield Path(folder), subfolders, sorted(name for name in files if not name.startswith(".") or not_here(name))


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename} cannot be read ({error.strerror}). Check its permissions.") from error
