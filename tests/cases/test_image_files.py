"""NIfTI files whose names lie, and those that are cut short."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.headers import affine, write_nifti

from nnunet_hetero.cases.image_files import is_nifti, read_header, read_nifti, require_whole
from nnunet_hetero.errors import DataError

DATA = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
def test_content_counts_and_not_the_ending(tmp_path, name, packed):
    file = write_nifti(tmp_path / name, DATA, affine((1, 2, 3)), packed=packed)
    assert is_nifti(file)
    np.testing.assert_array_equal(read_nifti(file).dataobj, DATA)
    assert read_header(file).get_zooms() == (1, 2, 3)
    require_whole(file)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("lost", [1, 8, 100])
def test_a_file_that_is_cut_short_is_refused(tmp_path, packed, lost):
    file = write_nifti(tmp_path / "a.nii.gz", DATA, affine(), packed=packed)
    file.write_bytes(file.read_bytes()[:-lost])
    with pytest.raises(DataError, match=r"a\.nii\.gz cannot be read .*damaged or truncated"):
        read_nifti(file)
    if packed:
        with pytest.raises(DataError, match=r"^the label cannot be read .*damaged or truncated"):
            require_whole(file, "the label")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"<html>404</html>" * 40, "damaged"),
        (gzip.compress(b"nothing", mtime=0), "damaged"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, content, message):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_nifti(tmp_path / "a.nii.gz")


def with_scaling(file, slope, intercept):
    content = bytearray(write_nifti(file, DATA, affine(), packed=False).read_bytes())
    content[112:120] = np.array([slope, intercept], "<f4").tobytes()
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_an_intercept_that_readers_add_or_not(tmp_path, slope):
    file = with_scaling(tmp_path / "a.nii", slope, 7.0)
    for read in (read_nifti, require_whole):
        with pytest.raises(DataError, match=rf"^file f has scl_slope {slope:g}, .* scl_inter 7, .*Set scl_inter to 0"):
            read(file, "file f")


@pytest.mark.parametrize(("slope", "intercept"), [(0.0, 0.0), (np.nan, np.nan), (0.0, np.nan), (2.0, 7.0), (1.0, 0.0)])
def test_scaling_that_all_readers_take_alike(tmp_path, slope, intercept):
    file = with_scaling(tmp_path / "a.nii", slope, intercept)
    require_whole(file)
    assert np.array_equal(read_nifti(file).dataobj, sitk.GetArrayFromImage(sitk.ReadImage(str(file))).T)


def test_nifti_2_is_named(tmp_path):
    nibabel.save(nibabel.Nifti2Image(DATA, np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match="NIfTI-2, which ITK does not read; save it as NIfTI-1"):
        read_nifti(tmp_path / "a.nii.gz")


def test_a_file_that_is_not_there(tmp_path):
    for read in (read_nifti, read_header, require_whole):
        with pytest.raises(DataError, match="No such file"):
            read(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("packed", [True, False])
def test_an_image_whose_end_was_lost_before_it_was_packed(tmp_path, packed):
    """The checksum is right then, and ITK fills the rest with zeros."""
    whole = write_nifti(tmp_path / "a.nii", DATA, affine(), packed=False).read_bytes()
    file = tmp_path / "b.nii.gz"
    file.write_bytes(gzip.compress(whole[:-50]) if packed else whole[:-50])
    for read in (read_nifti, require_whole):
        with pytest.raises(DataError, match=r"it ends after \d+ of \d+ bytes"):
            read(file)
