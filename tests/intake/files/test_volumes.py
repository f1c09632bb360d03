"""What ITK would read without a word, and as something else, is refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.files.volumes import read_volume

ARRAY = np.arange(8000, dtype=np.int16).reshape(20, 20, 20)


def written(file, array=ARRAY, **how):
    sitk.WriteImage(sitk.GetImageFromArray(array, **how), str(file))
    return file


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_whole_or_cut_short(tmp_path, name):
    file = written(tmp_path / name)
    assert (sitk.GetArrayFromImage(read_volume(file, "Case 'a'")) == ARRAY).all()
    cut(file)
    with pytest.raises(DataError, match=r"Case 'a'.* cannot be read"):
        read_volume(file, "Case 'a'")


def test_another_file_beside_it(tmp_path):
    """ITK would take the voxels of the other one."""
    written(tmp_path / "a.nii", ARRAY[::-1])
    with pytest.raises(DataError, match=r"Case 'a' has a\.nii beside it"):
        read_volume(written(tmp_path / "a.nii.gz"), "Case 'a'")


@pytest.mark.parametrize(
    ("array", "how", "message"),
    [
        (np.where(ARRAY == 7, np.nan, ARRAY).astype(np.float32), {}, "NaN"),
        (np.stack([ARRAY] * 3, axis=-1), {"isVector": True}, "3 values per voxel"),
        (ARRAY[0], {}, "2 axes"),
        (np.stack([ARRAY] * 2), {"isVector": False}, "4 axes"),
    ],
)
def test_no_single_volume_of_numbers(tmp_path, array, how, message):
    with pytest.raises(DataError, match=f"Case 'a'.* {message}"):
        read_volume(written(tmp_path / "a.nii.gz", array, **how), "Case 'a'")


def test_a_fourth_axis_of_one(tmp_path):
    assert read_volume(written(tmp_path / "a.nii.gz", ARRAY[None], isVector=False), "a").GetDimension() == 3
