"""Kind 2, in converters: a dataset that stays as it was although its raw files or the settings have changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
from helpers.phantoms import phantom, save_nifti
from public_reports.situation import Place, Situation


def _is(channel: int, what: str, index: int = 2) -> Callable[[Place], None]:
    def check(place: Place) -> None:
        found = nibabel.load(place.converted / f"Dataset502_X/imagesTr/b_{channel:04d}.nii.gz")
        np.testing.assert_array_equal(found.get_fdata(), phantom(index)[what])

    return check


def _table(place: Place, t1_of_b: str = "b_t1") -> Path:
    rows = ["case,T1,T2,label"]
    for index, case in enumerate("ab", 1):
        for what in ("t1", "t2", "seg"):
            save_nifti(phantom(index)[what], phantom(index)["affine"], place.folder / f"{case}_{what}.nii.gz")
        first = "a_t1" if case == "a" else t1_of_b
        rows.append(f"{case},{first}.nii.gz,{case}_t2.nii.gz,{case}_seg.nii.gz")
    file = place.folder / "cohort.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


def _convert(place: Place, file: Path) -> int:
    return place.convert("csv", file, "--classes", "core=1", "edema=2", "enhancing=4")


def _corrected_table(place: Place) -> int:
    save_nifti(phantom(2)["flair"], phantom(2)["affine"], place.folder / "c_t1.nii.gz")
    os.utime(place.folder / "c_t1.nii.gz", (0, 0))  # older than all that is converted
    assert _convert(place, _table(place)) == 0
    return _convert(place, _table(place, "c_t1"))


def _corrected_file(place: Place, age: float) -> int:
    file = _table(place)
    assert _convert(place, file) == 0
    image = place.folder / "b_t1.nii.gz"
    before = image.stat().st_mtime
    save_nifti(phantom(2)["flair"], phantom(2)["affine"], image)
    os.utime(image, (before + age, before + age))
    return _convert(place, file)


AGAIN = "converted again, since what they were made from has changed"

SITUATIONS = [
    Situation("6", "a corrected table", _corrected_table, 0, (AGAIN, "b: T1 is "), check=_is(0, "flair")),
    Situation(
        "6a",
        "a corrected file with an older date",
        partial(_corrected_file, age=-1e6),
        0,
        (AGAIN, "b: T1 has changed"),
        check=_is(0, "flair"),
    ),
    Situation(
        "6b",
        "a corrected file with the same date",
        partial(_corrected_file, age=0),
        0,
        (AGAIN, "b: T1 has changed"),
        check=_is(0, "flair"),
    ),
]
