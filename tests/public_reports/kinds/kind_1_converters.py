"""Kind 1, in converters: a modality, or a whole case, that is dropped for how its file is named or where it lies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from helpers.phantoms import phantom, save_nifti
from public_reports.situation import Place, Situation

FIRST, SECOND = "BraTS20_Training_001", "BraTS20_Training_002"
FILES = ("t1", "t1ce", "t2", "flair", "seg")
BIDS = {"T1w": "t1", "ce-gad_T1w": "t1ce", "T2w": "t2", "FLAIR": "flair"}


def write_brats(folder: Path, index: int, naming: str = "{case}_{what}.nii.gz") -> Path:
    """Write a case as BraTS does; names may hold folders."""
    for what in FILES:
        file = folder / naming.format(case=folder.name, what=what)
        save_nifti(phantom(index)[what], phantom(index)["affine"], file)
    return folder


def _brats(place: Place, spoil: Callable[[Path], object], naming: str = "{case}_{what}.nii.gz") -> int:
    raw = place.folder / "raw"
    write_brats(raw / FIRST, 1)
    spoil(write_brats(raw / SECOND, 2, naming))
    return place.convert("brats", raw)


def _misspelt(place: str, name: str = f"{SECOND}_t1gd.nii.gz") -> Callable[[Path], object]:
    def spoil(case: Path) -> None:
        (case / place).mkdir(exist_ok=True)
        (case / f"{SECOND}_t1ce.nii.gz").rename(case / place / name)

    return spoil


def _copies(case: Path) -> None:
    shutil.copy(case / f"{SECOND}_seg.nii.gz", case / f"{SECOND}_t1ce.nii.gz")
    shutil.copy(case / f"{SECOND}_t2.nii.gz", case / f"{SECOND}_flair.nii.gz")


def _bids(place: Place, old: str, new: str, *flags: str) -> int:
    root = place.folder / "study"
    for number in (1, 2):
        start = f"sub-0{number}/anat/sub-0{number}"
        for suffix, what in BIDS.items():
            save_nifti(phantom(number)[what], phantom(number)["affine"], root / f"{start}_{suffix}.nii.gz")
        save_nifti(phantom(number)["seg"], phantom(number)["affine"], root / f"labels/{start}_dseg.nii.gz")
    (root / f"sub-02/anat/sub-02_{old}.nii.gz").rename(root / f"sub-02/anat/sub-02_{new}.nii.gz")
    classes = ("--labels", "labels", "--classes", "core=1", "edema=2", "enhancing=4")
    return place.convert("bids", root, *classes, *flags)


def _is_the_images(case: str, channel: int, what: str) -> Callable[[Place], None]:
    def check(place: Place) -> None:
        from nibabel import load

        found = load(place.converted / f"Dataset502_X/imagesTr/{case}_{channel:04d}.nii.gz")
        np.testing.assert_array_equal(found.get_fdata(), phantom(2)[what])

    return check


def _nothing_of(case: str) -> Callable[[Place], None]:
    def check(place: Place) -> None:
        assert not list((place.converted / "Dataset502_X").glob(f"*/{case}*"))

    return check


LACKS = f"{SECOND}: it lacks T1c, but has files of unknown meaning"
READ, REFUSED = _is_the_images(SECOND, 1, "t1ce"), _nothing_of(SECOND)

SITUATIONS = [
    Situation(
        "2",
        "BraTS with a folder per image, as on Kaggle",
        partial(_brats, spoil=lambda case: None, naming="{case}_{what}.nii/0002_final_{what}.nii"),
        0,
        check=READ,
    ),
    Situation(
        "2a", "a folder beside the images", partial(_brats, spoil=lambda case: (case / "dicom").mkdir()), 0, check=READ
    ),
    Situation("2b", "a misspelt file", partial(_brats, spoil=_misspelt(".")), says=(LACKS,), check=REFUSED),
    Situation("2c", "a misspelt file in a folder", partial(_brats, spoil=_misspelt("x")), says=(LACKS,), check=REFUSED),
    Situation("2d", "one beside the case", partial(_brats, spoil=_misspelt("..")), says=(LACKS,), check=REFUSED),
    Situation(
        "2e", "DICOM in its place", partial(_brats, spoil=_misspelt("dicom", "IM0001")), says=(LACKS,), check=REFUSED
    ),
    Situation(
        "2j",
        "a placeholder of iCloud's in its place",
        partial(_brats, spoil=_misspelt(".", f".{SECOND}_t1ce.nii.gz.icloud")),
        says=(LACKS,),
        check=REFUSED,
    ),
    Situation(
        "2k",
        "the segmentation in its place, and a copy of another image",
        partial(_brats, spoil=_copies),
        0,
        says=("taken for T1c, has few values, as a label map has", "taken for FLAIR, is voxel by voxel the same as T2"),
    ),
    Situation(
        "2f",
        "BIDS in small letters",
        partial(_bids, old="FLAIR", new="flair"),
        0,
        check=_is_the_images("sub-02", 3, "flair"),
    ),
    Situation(
        "2g", "BIDS in capitals", partial(_bids, old="T2w", new="T2W"), 0, check=_is_the_images("sub-02", 2, "t2")
    ),
    Situation(
        "2h",
        "after contrast, or after surgery",
        partial(_bids, old="ce-gad_T1w", new="acq-post_T1w"),
        says=("sub-02: it lacks T1c, but has files that may be that", "acq-post_T1w.nii.gz", "--modality-of"),
        check=_nothing_of("sub-02"),
    ),
    Situation(
        "2i",
        "a misspelt suffix",
        partial(_bids, old="T2w", new="T2wx"),
        says=("sub-02: it lacks T2",),
        check=_nothing_of("sub-02"),
    ),
]
