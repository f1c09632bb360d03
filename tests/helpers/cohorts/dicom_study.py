"""DICOM studies made from phantoms: oblique, slices in any order, with whatever fault a test needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Sequence_
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)
from scipy.spatial.transform import Rotation

from helpers.phantoms import phantom

STORAGE = {"MR": MRImageStorage, "CT": CTImageStorage, "PT": PositronEmissionTomographyImageStorage}

TIMES = {
    "T1": {"EchoTime": 3.0, "RepetitionTime": 1900.0, "InversionTime": 900.0, "ScanningSequence": ["GR", "IR"]},
    "T2": {"EchoTime": 95.0, "RepetitionTime": 5000.0, "ScanningSequence": "SE"},
    "FLAIR": {"EchoTime": 90.0, "RepetitionTime": 9000.0, "InversionTime": 2500.0, "ScanningSequence": ["SE", "IR"]},
    "ADC": {"EchoTime": 80.0, "RepetitionTime": 6000.0, "ScanningSequence": "EP"},
}
TAGS: dict[str, dict[str, Any]] = {
    "t1": {**TIMES["T1"], "SeriesDescription": "t1_mprage_tra"},
    "t1ce": {**TIMES["T1"], "SeriesDescription": "t1_mprage_tra_KM", "ContrastBolusAgent": "Gadovist"},
    "t2": {**TIMES["T2"], "SeriesDescription": "t2_tse_tra"},
    "flair": {**TIMES["FLAIR"], "SeriesDescription": "t2_tirm_tra_dark-fluid"},
    "adc": {
        **TIMES["ADC"],
        "SeriesDescription": "ep2d_diff_ADC",
        "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"],
    },
}
"""Headers of the series of a brain protocol, as a scanner from Erlangen would write them."""

MAY_BE_REMOVED = (
    *("PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime", "AccessionNumber"),
    *("ReferringPhysicianName", "PatientID", "PositionReferenceIndicator"),
)
"""What an anonymiser takes out."""

OBLIQUE = Rotation.from_euler("xyz", (12, -7, 20), degrees=True).as_matrix()


@dataclass
class Patient:
    """What the series of one patient share.

    Args:
        patient: PatientID.
        study: StudyInstanceUID.
        frame: FrameOfReferenceUID.
    """

    patient: str = "Müller 1"
    study: str = field(default_factory=generate_uid)
    frame: str = field(default_factory=generate_uid)


def oblique_affine(size: int = 24, spacing: Sequence[float] = (8.0, 8.0, 8.0)) -> np.ndarray:
    """Voxel (column, row, slice) to LPS mm, turned about all axes, with the middle of the volume near the origin."""
    affine = np.eye(4)
    affine[:3, :3] = OBLIQUE * np.array(spacing)
    affine[:3, 3] = -affine[:3, :3] @ np.full(3, (size - 1) / 2) + (3, -11, 7)
    return affine


def write_series(
    folder: Path,
    data: np.ndarray,
    affine: np.ndarray,
    tags: dict[str, Any],
    owner: Patient | None = None,
    change: Callable[[int, FileDataset], None] | None = None,
    ending: str = ".dcm",
) -> str:
    """Write a series, a file per slice, numbered as the slices were acquired: every second one first.

    Args:
        folder: Where to.
        data: (columns, rows, slices).
        affine: Voxel to LPS mm.
        tags: Elements beside those of the geometry, by keyword.
        owner: Whose.
        change: What to change in a slice, by its place, before it is written.
        ending: Of the files.

    Returns:
        SeriesInstanceUID.
    """
    owner = owner or Patient()
    folder.mkdir(parents=True, exist_ok=True)
    uid = generate_uid()
    acquired = [*range(0, data.shape[2], 2), *range(1, data.shape[2], 2)]
    for number, place in enumerate(acquired, 1):
        dataset = one_slice(data[:, :, place], affine, place, {**tags, "SeriesInstanceUID": uid}, owner)
        dataset.InstanceNumber = number
        if change is not None:
            change(place, dataset)
        dataset.save_as(folder / f"IM{number:04d}{ending}", enforce_file_format=True)
    return uid


def one_slice(pixels: np.ndarray, affine: np.ndarray, place: int, tags: dict[str, Any], owner: Patient) -> FileDataset:
    """One slice, (columns, rows)."""
    modality = tags.get("Modality", "MR")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = STORAGE.get(modality, MRImageStorage)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / spacing
    elements = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": modality,
        "Manufacturer": "SIEMENS",
        "PatientID": owner.patient,
        "PatientName": "Phantom^Anna",
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
        "StudyInstanceUID": owner.study,
        "FrameOfReferenceUID": owner.frame,
        "StudyDate": "20260101",
        "StudyTime": "101112",
        "StudyID": "1",
        "AccessionNumber": "7",
        "ReferringPhysicianName": "",
        "SeriesNumber": 1,
        "PositionReferenceIndicator": "",
        "ImageType": ["ORIGINAL", "PRIMARY", "M"],
        "SliceThickness": round(float(spacing[2]), 4),
        "ImagePositionPatient": [round(float(value), 5) for value in affine[:3, :3] @ (0, 0, place) + affine[:3, 3]],
        "ImageOrientationPatient": [round(float(value), 8) for value in directions[:, :2].T.ravel()],
        "PixelSpacing": [float(spacing[1]), float(spacing[0])],
        "Rows": pixels.shape[1],
        "Columns": pixels.shape[0],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
    }
    for keyword, value in {**elements, **tags}.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = np.ascontiguousarray(pixels.T.astype("<i2")).tobytes()
    return dataset


def write_study(folder: Path, modalities: Sequence[str] = ("t1ce", "t2", "flair"), index: int = 1) -> Patient:
    """A study of a phantom: a series per modality, a localizer of three planes, and a map of diffusion.

    Args:
        folder: Of the case; series lie in folders below.
        modalities: Which of ``t1``, ``t1ce``, ``t2``, ``flair`` there are.
        index: Which phantom.
    """
    owner, images, affine = Patient(), phantom(index), oblique_affine()
    for number, name in enumerate(modalities, 2):
        tags = {**TAGS[name], "SeriesNumber": number}
        write_series(folder / f"DICOM Köpfe/S{number}", images[name], affine, tags, owner)
    write_series(folder / "DICOM Köpfe/S9", images["t2"] // 4, affine, {**TAGS["adc"], "SeriesNumber": 9}, owner)
    write_localizer(folder / "DICOM Köpfe/S1", owner)
    return owner


def write_localizer(folder: Path, owner: Patient) -> None:
    """Three slices at right angles."""
    tags = {
        "SeriesDescription": "localizer",
        "SeriesInstanceUID": generate_uid(),
        "EchoTime": 4.0,
        "RepetitionTime": 8.0,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        affine = np.eye(4)
        affine[:3, :3] = np.roll(np.eye(3), number, axis=1) * 10
        dataset = one_slice(np.full((16, 16), 5), affine, 0, tags, owner)
        dataset.InstanceNumber = number + 1
        dataset.save_as(folder / f"IM{number:04d}.dcm", enforce_file_format=True)


def edit(file: Path, remove: Sequence[str] = (), **elements: Any) -> None:
    """Change elements of a file, or remove them."""
    dataset = pydicom.dcmread(file)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    for keyword in remove:
        delattr(dataset, keyword)
    dataset.save_as(file)


def header(**elements: Any) -> Dataset:
    """A dataset in memory; lists of datasets become sequences."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(
            dataset, keyword, Sequence_(value) if keyword.endswith("Sequence") and isinstance(value, list) else value
        )
    return dataset


def as_enhanced(folder: Path, order: Sequence[int] | None = None) -> str:
    """Make one file of the slices of a series, in the order of their acquisition or another; returns its UID."""
    legacy = pytest.importorskip("highdicom.legacy")  # no wheels for Python 3.14
    files = sorted(folder.iterdir())
    slices = [pydicom.dcmread(file) for file in files]
    slices = [slices[place] for place in order or range(len(slices))]
    uid = generate_uid()
    made = legacy.LegacyConvertedEnhancedMRImage(
        slices, series_instance_uid=uid, series_number=7, sop_instance_uid=generate_uid(), instance_number=1
    )
    made.SeriesDescription = slices[0].SeriesDescription
    for file in files:
        file.unlink()
    made.save_as(folder / "all.dcm")
    return uid
