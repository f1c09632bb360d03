"""Sources of series.csv taken apart."""

from __future__ import annotations

import pytest

from nnunet_hetero.intake.files.sources import is_uid, parts_of


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("a/b c#1.2", ("a/b c", "1.2")),
        ("a #1/b #2#1.2", ("a #1/b #2", "1.2")),
        ("a #1.ZIP#c #2/t1 #3.nii.gz", ("a #1.ZIP", "c #2/t1 #3.nii.gz")),
        ("a.zip#1.2", ("a.zip", "1.2")),
        ("a #1/t1 #3.nii.gz", ("a #1/t1 #3.nii.gz", "")),
        ("a/t1.nii.gz", ("a/t1.nii.gz", "")),
    ],
)
def test_parts(source, parts):
    assert parts_of(source) == parts


def test_uids():
    assert is_uid("1.2.840") and not is_uid("") and not is_uid("1.2.nii")
