from __future__ import annotations

import gzip
import itertools

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from nnunet_hetero.cases.orientation import orientation_of, reoriented
from nnunet_hetero.errors import DataError
from nnunet_hetero.reorient.turned_file import header_of, turn_file

ORIENTATIONS = [
    "".join(letters) for order in itertools.permutations(("LR", "PA", "IS")) for letters in itertools.product(*order)
]
SHAPE = (4, 5, 6)


def write_nifti(file, dtype=np.int16, sform: int = 1, qform: int = 1, slope=None):
    """An oblique image, "RAS" by its sform."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [8, -5, 12], degrees=True).as_matrix() * (0.5, 1.0, 3.0)
    affine[:3, 3] = (-7, 11, 13.5)
    image = nibabel.Nifti1Image(np.arange(120).reshape(SHAPE).astype(dtype), None)
    image.header.set_sform(affine, code=sform)
    image.header.set_qform(affine, code=qform)
    image.header.set_dim_info(freq=0, phase=1, slice=2)
    image.header["descrip"] = b"as it came"
    if slope is not None:
        image.header.set_slope_inter(slope, 0.25)
    nibabel.save(image, file)
    return file


def content(file) -> bytes:
    data = file.read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_voxels_and_places_are_kept_and_the_way_back_is_exact(tmp_path, name, dtype):
    file = write_nifti(tmp_path / name, dtype)
    before, header, image = content(file), header_of(file), sitk.ReadImage(str(file))
    now = "RAS"
    for orientation in ORIENTATIONS if name == "a.nii" and dtype is np.int16 else ("LPI", "SAR"):
        turn_file(file, now, orientation)
        now = orientation
        found, expected = sitk.ReadImage(str(file)), reoriented(image, orientation)
        assert orientation_of(found) == orientation
        assert found.GetPixelID() == image.GetPixelID()
        assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))
        np.testing.assert_allclose(found.GetOrigin(), expected.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(found.GetDirection(), expected.GetDirection(), atol=1e-5)
        np.testing.assert_allclose(found.GetSpacing(), expected.GetSpacing(), atol=1e-5)
    turn_file(file, now, "RAS", header)
    assert content(file) == before


def test_two_forms_stay_two(tmp_path):
    """Each leads each voxel to where it was, by either."""
    file = write_nifti(tmp_path / "a.nii.gz", sform=2, qform=1)
    header = nibabel.Nifti1Header(header_of(file))
    header.set_sform(np.diag([2.0, 2.0, 2.0, 1.0]), code=2)
    file.write_bytes(gzip.compress(header.binaryblock + content(file)[348:]))
    before = nibabel.load(file)
    value = np.asanyarray(before.dataobj)[1, 2, 3]
    voxel = {name: getattr(before, f"get_{name}")() @ [1, 2, 3, 1] for name in ("sform", "qform")}
    turn_file(file, "RAS", "PIL")
    after = nibabel.load(file)
    assert (int(after.header["sform_code"]), int(after.header["qform_code"])) == (2, 1)
    (place,) = np.argwhere(np.asanyarray(after.dataobj) == value)
    for name, expected in voxel.items():
        np.testing.assert_allclose(getattr(after, f"get_{name}")() @ [*place, 1], expected, atol=1e-4)


def test_scaled_voxels_keep_their_bits(tmp_path):
    file = write_nifti(tmp_path / "a.nii.gz")
    header = header_of(file)
    scaled = nibabel.Nifti1Header(header)
    scaled["scl_slope"], scaled["scl_inter"] = 0.1, 0.25
    file.write_bytes(gzip.compress(scaled.binaryblock + content(file)[348:]))
    before = nibabel.load(file).get_fdata()
    turn_file(file, "RAS", "LPS")
    assert np.array_equal(nibabel.load(file).get_fdata(), before[::-1, ::-1])


def test_what_else_the_header_says(tmp_path):
    file = write_nifti(tmp_path / "a.nii.gz")
    turn_file(file, "RAS", "SAR")
    header = nibabel.load(file).header
    assert header.get_dim_info() == (2, 1, 0)
    assert bytes(header["descrip"]).startswith(b"as it came")


def test_other_formats(tmp_path):
    file = tmp_path / "a.nrrd"
    image = sitk.ReadImage(str(write_nifti(tmp_path / "a.nii.gz")))
    before = sitk.GetArrayFromImage(image)
    sitk.WriteImage(image, str(file))
    assert header_of(file) == b""
    turn_file(file, "RAS", "SPL")
    found = sitk.ReadImage(str(file))
    assert orientation_of(found) == "SPL"
    assert np.array_equal(sitk.GetArrayFromImage(reoriented(found, "RAS")), before)
    with pytest.raises(DataError, match="another image than it was"):
        turn_file(file, "RAS", "LPS")


def test_a_format_without_orientation(tmp_path):
    file = tmp_path / "a.gipl"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5)), str(file))
    before = file.read_bytes()
    with pytest.raises(DataError, match="its format keeps none"):
        turn_file(file, "LPS", "RAS")
    assert file.read_bytes() == before
    assert [*tmp_path.iterdir()] == [file]


def test_a_header_that_says_nothing(tmp_path):
    file = write_nifti(tmp_path / "a.nii.gz", sform=0, qform=0)
    before = file.read_bytes()
    with pytest.raises(DataError, match="neither sform nor qform"):
        turn_file(file, "LPS", "RAS")
    assert file.read_bytes() == before


def test_the_header_of_another_image(tmp_path):
    file = write_nifti(tmp_path / "a.nii.gz")
    header = header_of(write_nifti(tmp_path / "b.nii.gz", np.float32))
    with pytest.raises(DataError, match="another image than it was"):
        turn_file(file, "RAS", "LPS", header)


def test_a_damaged_file(tmp_path):
    file = write_nifti(tmp_path / "a.nii.gz")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match="damaged or truncated"):
        turn_file(file, "RAS", "LPS")
