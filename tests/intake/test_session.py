"""When images were taken, by their headers or by their place."""

from __future__ import annotations

import pytest
from helpers.cohorts.dicom_study import TAGS, Patient, oblique_affine, write_series
from helpers.phantoms import phantom

from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.intake.series import Series
from nnunet_hetero.intake.session import Session, session_of, sessions_apart
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))


@pytest.mark.parametrize(
    ("source", "day"),
    [
        ("a/ses-01/anat/sub-1_ses-01_T1w.nii.gz", "01"),
        ("a/sub-1_ses-follow2_T1w.nii.gz", "follow2"),
        ("a/2024-03-31/t1.nii.gz", "20240331"),
        ("a.zip#20240331/t1.nii.gz", "20240331"),
        ("a/20241331/t1.nii.gz", None),
        ("2024-03-31/t1.nii.gz", None),
        ("sub-1_ses-01/t1.nii.gz", None),
        ("a/t1_20240331.nii.gz", None),
    ],
)
def test_by_place(tmp_path, source, day):
    found = session_of(Series("a", source, "T1", "sure", ""), tmp_path)
    assert found == (None if day is None else Session(day))


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (Session("20250101", "1.2"), Session("20260101", "1.3"), True),
        (Session("20250101", "1.2"), Session("20250101", "1.3"), False),
        (Session("", "1.2"), Session("20250101", "1.3"), True),
        (Session("", "1.2"), Session("", "1.2"), False),
        (Session("01"), Session("02"), True),
        (Session("01"), Session("01"), False),
        (Session("20250101", "1.2"), Session("01"), False),
    ],
)
def test_apart(one, other, apart):
    assert one.is_apart(other) is other.is_apart(one) is apart


def test_headers(tmp_path):
    for name, day in (("t1ce", "20250101"), ("t2", "20260101")):
        tags = {**TAGS[name], "StudyDate": day}
        write_series(tmp_path / "a" / name, phantom(1)[name][:, :, :6], oblique_affine(24), tags, Patient())
    rows = find_series(tmp_path, BRATS)
    apart = sessions_apart(rows, tmp_path)
    assert apart is not None and [(row.modality, session.day) for row, session in apart] == [
        ("T1c", "20250101"),
        ("T2", "20260101"),
    ]
    assert sessions_apart(rows[:1], tmp_path) is None
