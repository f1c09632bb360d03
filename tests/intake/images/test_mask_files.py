"""The mask of a case is found wherever it lies, and read from there."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.images.mask_files import find_mask

NAME = "brain_mask.nii.gz"


@pytest.fixture
def mask(tmp_path):
    """A file, outside of all cases."""
    array = np.zeros((3, 4, 5), np.uint8)
    array[1, 1:3, 2] = 1
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / NAME))
    return tmp_path / NAME


def packed(archive, *files, inner="ä b/deep/"):
    """A zip of some files, in folders."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as stream:
        for file in files:
            stream.write(file, inner + file.name)
    return archive


def read(found, tmp_path):
    (tmp_path / "scratch").mkdir()
    return sitk.GetArrayFromImage(found.read("a", tmp_path / "scratch"))


def test_one_for_all(mask, tmp_path):
    found = find_mask(str(mask), "a", [tmp_path / "a"])
    assert found.place == mask and read(found, tmp_path).sum() == 2


def test_in_the_folder_of_the_case(mask, tmp_path):
    (tmp_path / "in/a/deep").mkdir(parents=True)
    mask.rename(tmp_path / "in/a/deep" / NAME)
    for name in (NAME, f"deep/{NAME}", "*mask*"):
        assert find_mask(name, "a", [tmp_path / "in/a"]).place == tmp_path / "in/a/deep" / NAME


@pytest.mark.parametrize("archive", ["a.zip", "a/more/masks.ZIP"])
def test_in_a_zip(mask, tmp_path, archive):
    """The zip is the case, or lies in its folder."""
    entry = tmp_path / "in" / archive.partition("/")[0]
    file = packed(tmp_path / "in" / archive, mask)
    mask.unlink()
    found = find_mask(NAME, "a", [entry])
    assert found.place == file and str(found) == f"{file}#ä b/deep/{NAME}"
    assert read(found, tmp_path).sum() == 2


def test_voxels_beside_the_header(mask, tmp_path):
    header = tmp_path / "brain_mask.mhd"
    sitk.WriteImage(sitk.ReadImage(str(mask)), str(header))
    archive = packed(tmp_path / "a.zip", header, tmp_path / "brain_mask.raw")
    assert read(find_mask(header.name, "a", [archive]), tmp_path).sum() == 2


def test_none_or_several(mask, tmp_path):
    packed(tmp_path / "in/a/one.zip", mask)
    entries = [tmp_path / "in/a"]
    with pytest.raises(DataError, match=r"Case 'a': no file is named other\.nii in .*a\. --mask takes the path"):
        find_mask("other.nii", "a", entries)
    with pytest.raises(DataError, match=r"no file is named /no/such/mask\.nii"):
        find_mask("/no/such/mask.nii", "a", entries)
    packed(tmp_path / "in/a/two.zip", mask)
    with pytest.raises(DataError, match=f"Case 'a': 2 files are named {NAME}"):
        find_mask(NAME, "a", entries)
    (tmp_path / "in/a/three.zip").write_bytes(b"x")
    with pytest.raises(DataError, match=r"Case 'a': --mask: .*three\.zip is no zip, or damaged"):
        find_mask(NAME, "a", entries)


def test_damage(mask, tmp_path):
    mask.write_bytes(b"x")
    archive = packed(tmp_path / "a.zip", mask)
    with pytest.raises(DataError, match=rf"Case 'a': the mask {archive}#.*{NAME} cannot be read"):
        read(find_mask(NAME, "a", [archive]), tmp_path)


def test_a_mask_that_is_cut_short(mask, tmp_path):
    """ITK would fill it with zeros: half of the brain."""
    file = tmp_path / "mask.nii"
    sitk.WriteImage(sitk.ReadImage(str(mask)), str(file))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"Case 'a': the mask .*mask\.nii cannot be read .*it ends after"):
        read(find_mask(str(file), "a", []), tmp_path)
