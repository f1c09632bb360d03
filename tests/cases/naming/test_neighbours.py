"""Files beside a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.tiny_model import write_image

from nnunet_hetero.cases.naming.neighbours import meant_instead, read_instead, refuse_mixture
from nnunet_hetero.errors import DataError


def test_itk_mixes_two_files(tmp_path):
    """The reason for all of this."""
    for value, name in ((1, "X.nii.gz"), (2, "X.nii")):
        write_image(tmp_path / name, np.full((3, 4, 5), value, np.float32), spacing=value)
    image = sitk.ReadImage(str(tmp_path / "X.nii.gz"))
    assert (image.GetSpacing()[0], sitk.GetArrayFromImage(image).max()) == (1, 2)


@pytest.mark.parametrize(
    ("file", "beside", "mixed"),
    [
        ("X.nii.gz", "X.nii", True),
        ("X.nii", "X.nii.gz", True),
        ("X.nii.gz", "X.NII", True),
        ("X.nii.gz", "X.img", True),
        ("X.NII.GZ", "X.NII", True),
        ("X.mhd", "X.nhdr", True),
        ("X.hdr", "X.img", False),
        ("X.img.gz", "X.hdr", False),
        ("X.img", "X.img.gz", True),
        ("X.nii.gz", "X.nrrd", False),
        ("X.nii.gz", "X.json", False),
        ("X.nii.gz", "Y.nii", False),
        ("X_0001.nii.gz", "X.nii", False),
        ("X.mhd", "X.raw", False),
    ],
)
def test_read_instead(tmp_path, file, beside, mixed):
    for name in (file, beside):
        (tmp_path / name).touch()
    assert read_instead(tmp_path / file) == ([str(tmp_path / beside)] if mixed else [])
    if mixed:
        with pytest.raises(DataError, match=rf"^file f, has {beside} beside it. .*Keep the right one"):
            refuse_mixture(tmp_path / file, "file f,")


def test_meant_instead(tmp_path):
    for name in ("a.nii", "A.nii.gz", "a_seg.nii.gz", "a_0001.nii.gz", "ab.nii.gz", "a.json", "a_head.nii.gz"):
        (tmp_path / name).touch()
    found = [Path(file).name for file in meant_instead(tmp_path / "a.nii.gz")]
    assert found == ["A.nii.gz", "a.nii", "a_seg.nii.gz"]
    assert meant_instead(tmp_path / "nowhere" / "a.nii.gz") == []
