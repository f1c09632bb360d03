"""The DICOM files in a folder or a zip, by series: headers alone, no voxels."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from nnunet_hetero.cases.naming.names import NO_IMAGES
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.extra import require
from nnunet_hetero.intake.files.sources import is_uid
from nnunet_hetero.intake.files.tree import READING_ERRORS, Tree, folder_tree, zip_tree

ENDINGS = (".dcm", ".ima", ".dicom")
"""Files of these endings must be DICOM; others are if they begin like it."""

DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR, which lists files."""

TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"),
    *("PatientName", "PatientBirthDate"),
    *("Modality", "SeriesDescription", "ProtocolName", "ImageType", "ScanningSequence", "BodyPartExamined"),
    *("EchoTime", "RepetitionTime", "InversionTime", "DiffusionBValue", "ContrastBolusAgent", "InstanceNumber"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames"),
    *("TemporalPositionIdentifier", "AcquisitionNumber", "GantryDetectorTilt", "SamplesPerPixel", "BitsAllocated"),
    *("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "ContrastBolusAgentSequence"),
    *("EchoPulseSequence", "EchoPlanarPulseSequence", "StudyDate", "PhotometricInterpretation"),
)

_MAGIC = b"DICM"
_WITHOUT_PREAMBLE = (b"\x08\x00", b"\x02\x00")


@dataclass
class Scan:
    """What lies in a tree.

    Args:
        series: SeriesInstanceUID → name of each file and its header, a pydicom ``Dataset``.
        unreadable: Name of each file that should be DICOM → what is wrong with it.
        others: Names of the files that are none.
    """

    series: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def scan(tree: Tree, names: Iterable[str]) -> Scan:
    """Read the headers of those files that are DICOM.

    Raises:
        SettingsError: If there are some and pydicom is not installed.
    """
    found = Scan()
    for name in names:
        try:
            with tree.open(name) as stream:
                if not _may_be_dicom(name, stream):
                    found.others.append(name)
                    continue
                header = _read(stream)
        except READING_ERRORS as error:
            found.unreadable[name] = str(error)
            continue
        if header is not None and header.file_meta.get("MediaStorageSOPClassUID") == DIRECTORY:
            continue
        problem = _problem(header)
        if problem:
            found.unreadable[name] = problem
        else:
            found.series.setdefault(str(header.SeriesInstanceUID), []).append((name, header))
    return found


def common_folder(files: Mapping[str, Any] | Iterable[str]) -> str:
    """The innermost folder that holds all of some files, with ``/``; empty for the top."""
    common = os.path.commonpath([f"/{name.rpartition('/')[0]}" for name in files])
    return common.replace(os.sep, "/").strip("/")


def is_dicom(file: Path) -> bool:
    """Whether a file begins, or is named, like DICOM; not one that cannot be read."""
    try:
        with open(file, "rb") as stream:
            return _may_be_dicom(file.name, stream)
    except OSError:
        return False


def _may_be_dicom(name: str, stream: IO[bytes]) -> bool:
    start = stream.read(132)
    stream.seek(0)
    lowered = name.lower()
    if start[128:] == _MAGIC or lowered.endswith(ENDINGS):
        return True
    return start.startswith(_WITHOUT_PREAMBLE) and not lowered.endswith(NO_IMAGES)


def _read(stream: IO[bytes]) -> Any:
    """The header, or None if pydicom makes nothing of it."""
    pydicom = require("pydicom", "A case has DICOM files; reading them")
    try:
        return pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=list(TAGS), force=True)
    except Exception:  # pydicom has no class for what it may raise of a damaged file
        return None


def _problem(header: Any) -> str | None:
    if header is None:
        return "it is damaged, or no DICOM file. Copy or export it again"
    lacking = [name for name in ("SOPClassUID", "SeriesInstanceUID", "SOPInstanceUID") if not _value(header, name)]
    if not lacking:
        return None
    return f"it has no {lacking[0]}: it is damaged, cut short, or no DICOM file. Copy or export it again"


def _value(header: Any, name: str) -> Any:
    try:
        return header.get(name)
    except Exception:  # a value that cannot be decoded, see above
        return None


def tree_of(place: str, folder: Path) -> Tree:
    """The folder or zip that a row of ``series.csv`` names.

    Args:
        place: Its path below the input folder.
        folder: The input folder.

    Raises:
        DataError: If it is a zip that is refused.
    """
    path = folder / place
    return folder_tree(path) if path.is_dir() else zip_tree(path)


def files_of(tree: Tree, uid: str) -> list[tuple[str, Any]]:
    """Name and header of each file of a series; none if the tree does not hold it.

    Raises:
        DataError: If a file cannot be read beside those of the series, for it may be one of them.
    """
    found = _remembered(tree, tree.stamps())
    files = found.series.get(uid, [])
    folders = {name.rpartition("/")[0] for name, _ in files}
    for name, problem in found.unreadable.items():
        if name.rpartition("/")[0] in folders:
            raise DataError(
                f"{tree.root / name} cannot be read ({problem}). It lies among the files of the series {uid} and may "
                "be one of its slices. Copy it again, or move it away if it is none."
            )
    return files


@functools.lru_cache(maxsize=4)
def _remembered(tree: Tree, stamps: tuple[tuple[int, int], ...]) -> Scan:
    """What lies in a tree, read once although several questions are asked of each of its series."""
    return scan(tree, tree.names)


def headers_of(place: str, uid: str, folder: Path) -> list[Any]:
    """The headers of a DICOM series; none for another file.

    Args:
        place: Its folder or zip, below the input folder.
        uid: SeriesInstanceUID, or what stands in its place for other files.
        folder: The input folder.

    Raises:
        DataError: As `files_of`.
    """
    if not is_series(place, uid, folder):
        return []
    return [header for _, header in files_of(tree_of(place, folder), uid)]


def is_series(place: str, uid: str, folder: Path) -> bool:
    """Whether a row of ``series.csv`` is a DICOM series, see `headers_of`."""
    return is_uid(uid) and ((folder / place).is_dir() or place.lower().endswith(".zip"))
