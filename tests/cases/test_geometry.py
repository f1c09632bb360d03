"""Grids: as ITK reads them from contradictory headers, and when two of them are one."""

from __future__ import annotations

import re

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.headers import affine, write_nifti
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO, NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO, SimpleITKIOWithReorient

from nnunet_hetero.cases.geometry import TOLERANCE, Geometry, header_doubts, read_geometry, reader_geometry
from nnunet_hetero.errors import DataError

DATA = np.arange(8 * 9 * 10, dtype=np.float32).reshape(8, 9, 10)
EDGES = (2.0, 3.0, 6.0)
STRAIGHT, TURNED = affine(EDGES, (-10, -20, 5)), affine(EDGES, (-10, -20, 5), angle=0.3)

HEADERS = {
    "one truth": {"sform": STRAIGHT, "qform": STRAIGHT},
    "ACDC: identity beside pixdim": {"sform": np.eye(4), "pixdim": EDGES},
    "sform of another spacing": {"sform": np.eye(4), "qform": STRAIGHT},
    "sform and qform differ": {"sform": TURNED, "qform": STRAIGHT, "codes": (4, 1)},
    "no form": {"pixdim": EDGES},
    "sheared sform, sound qform": {"sform": affine(EDGES, shear=0.6), "qform": STRAIGHT},
    "only a qform": {"qform": TURNED},
}
DOUBTS = {
    "ACDC: identity beside pixdim": r"two spacings, \(2, 3, 6\) and \(1, 1, 1\) mm",
    "sform of another spacing": r"two spacings, \(2, 3, 6\) and \(1, 1, 1\) mm",
    "sform and qform differ": "sform and qform in its header differ; the qform counts",
    "no form": "neither sform nor qform",
    "sheared sform, sound qform": "two spacings|sform and qform in its header differ; the qform counts",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_is_what_nnunets_reader_takes(tmp_path, kind):
    file = write_nifti(tmp_path / "a.nii.gz", DATA, **HEADERS[kind])
    found = read_geometry(file)
    image, properties = SimpleITKIO().read_images([str(file)])
    expected = reader_geometry(image.shape[1:], properties)
    assert found.shape == expected.shape == DATA.shape
    np.testing.assert_array_equal(found.affine, expected.affine)
    np.testing.assert_allclose(found.spacing, EDGES)
    doubts = header_doubts(file, found)
    if kind in DOUBTS:
        assert re.search(DOUBTS[kind], doubts)
    else:
        assert doubts is None


@pytest.mark.parametrize(("unit", "millimetres"), [("micron", 0.001), ("meter", 1000.0)])
def test_units_of_a_header(tmp_path, unit, millimetres):
    """ITK heeds them, so a header that counts in micrometres says one thing."""
    there = np.diag([1 / millimetres] * 3 + [1.0]) @ affine(EDGES, origin=(5.0, 6.0, 7.0))
    image = nibabel.Nifti1Image(DATA, there)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii.gz")
    found = read_geometry(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(found.ras_affine, affine(EDGES, origin=(5.0, 6.0, 7.0)), rtol=1e-5)
    assert header_doubts(tmp_path / "a.nii.gz", found) is None


@pytest.mark.parametrize("edges", [(5.0, 5.0), (2.0, 3.0)])
def test_a_2d_image_has_no_third_spacing_to_contradict(tmp_path, edges):
    """nnU-Net gives it one of 999 times the largest edge, its header 1."""
    image = sitk.GetImageFromArray(DATA[0])
    image.SetSpacing(edges)
    sitk.WriteImage(image, tmp_path / "a.nii.gz")
    read, properties = SimpleITKIO().read_images([str(tmp_path / "a.nii.gz")])
    assert header_doubts(tmp_path / "a.nii.gz", reader_geometry(read.shape[1:], properties)) is None
    wrong = nibabel.load(tmp_path / "a.nii.gz")
    wrong.set_sform(np.diag([9.0, 9.0, 1.0, 1.0]), code=2)
    nibabel.save(wrong, tmp_path / "b.nii.gz")
    read, properties = SimpleITKIO().read_images([str(tmp_path / "b.nii.gz")])
    assert "two spacings" in header_doubts(tmp_path / "b.nii.gz", reader_geometry(read.shape[1:], properties))


def test_a_sheared_grid_is_refused(tmp_path):
    file = write_nifti(tmp_path / "a.nii.gz", DATA, affine(EDGES, shear=0.6))
    with pytest.raises(DataError, match=r"a\.nii\.gz cannot be used: its axes are not at right angles"):
        read_geometry(file)
    image, properties = NibabelIO().read_images([str(file)])
    assert "right angles" in reader_geometry(image.shape[1:], properties).problem()


def test_no_other_file_is_looked_at(tmp_path):
    write_nifti(tmp_path / "a.nii", DATA, affine((1, 1, 1)), packed=False)
    file = write_nifti(tmp_path / "a.nii.gz", DATA, affine(EDGES))
    np.testing.assert_allclose(read_geometry(file).spacing, EDGES)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
def test_endings_do_not_count(tmp_path, name, packed):
    file = write_nifti(tmp_path / name, DATA, affine(EDGES), packed=packed)
    np.testing.assert_allclose(read_geometry(file).spacing, EDGES)


def test_metaimage(tmp_path):
    image = sitk.GetImageFromArray(DATA.T)
    image.SetSpacing(EDGES)
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    found = read_geometry(tmp_path / "a.mha")
    np.testing.assert_allclose(found.ras_affine, np.diag([-2, -3, 6, 1]))
    assert header_doubts(tmp_path / "a.mha", found) is None


def test_what_cannot_be_read(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"<html>404</html>")
    for name in ("a.nii.gz", "nowhere.nii.gz", "nowhere.mha"):
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            read_geometry(tmp_path / name)


@pytest.mark.parametrize("reader", [SimpleITKIO, SimpleITKIOWithReorient, NibabelIO, NibabelIOWithReorient])
def test_every_reader_places_the_image_alike(tmp_path, reader):
    file = write_nifti(tmp_path / "a.nii.gz", DATA, STRAIGHT, STRAIGHT)
    image, properties = reader().read_images([str(file)])
    found = reader_geometry(image.shape[1:], properties)
    assert found.shape == DATA.shape
    np.testing.assert_allclose(found.spacing, EDGES)
    corners = [found.affine @ [*index, 1] for index in ((0, 0, 0), (7, 8, 9))]
    expected = [np.diag([-1, -1, 1, 1]) @ STRAIGHT @ [*index, 1] for index in ((0, 0, 0), (7, 8, 9))]
    np.testing.assert_allclose(corners, expected, atol=1e-5)


def test_images_without_a_place():
    found = reader_geometry((1, 5, 6), {"spacing": (999, 1, 1)})
    assert found.shape == (6, 5, 1) and found.spacing.tolist() == [1, 1, 999]


def grid(shape=(20, 20, 10), spacing=EDGES, origin=(0, 0, 0), angle=0.0) -> Geometry:
    direction = affine(angle=angle)[:3, :3]
    return Geometry(shape, np.array(spacing, float), direction, np.array(origin, float))


class TestOneGrid:
    @pytest.mark.parametrize(
        "other",
        [
            grid(origin=(0, 0, 0.005)),
            grid(origin=(0.09, 0, 0)),
            grid(origin=(0, 0, 0.29)),
            grid(spacing=(2.004, 3, 6)),
            grid(angle=0.001),
        ],
    )
    def test_rounding_is_accepted_and_told(self, other):
        assert other.difference(grid()) is None
        assert "of a voxel edge (up to 0.05 counts as one grid)" in other.deviation(grid())

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (grid((20, 20, 9)), r"^shape \(20, 20, 9\) instead of \(20, 20, 10\)$"),
            (grid(origin=(0.11, 0, 0)), r"^origin \(0.11, 0, 0\) mm instead of \(0, 0, 0\) mm, .* up to 0.055 voxel"),
            (grid(origin=(0, 0, 0.31)), r"^origin .*\(up to 0.05 counts as one grid\)$"),
            (grid(spacing=(2.01, 3, 6)), r"^spacing \(2.01, 3, 6\) mm instead of \(2, 3, 6\) mm"),
            (grid(angle=0.01), r"^direction \(0.99995, -0.01"),
        ],
    )
    def test_more_is_another_grid(self, other, message):
        assert re.search(message, other.difference(grid()))

    def test_tolerance_is_in_voxels_and_not_in_mm(self):
        for edge in (0.1, 1, 10):
            one, two = grid(spacing=[edge] * 3), grid(spacing=[edge] * 3, origin=(0.9 * TOLERANCE * edge, 0, 0))
            assert two.difference(one) is None
            assert grid(spacing=[edge] * 3, origin=(1.1 * TOLERANCE * edge, 0, 0)).difference(one)

    def test_thickness_of_a_single_slice_counts(self):
        assert grid((20, 20, 1), (1, 1, 5)).difference(grid((20, 20, 1), (1, 1, 6)))

    def test_equal_grids_have_no_deviation(self):
        assert grid().deviation(grid(origin=(1e-6, 0, 0))) is None


@pytest.mark.parametrize("changes", [{"spacing": (0, 1, 1)}, {"spacing": (np.nan, 1, 1)}, {"origin": (np.inf, 0, 0)}])
def test_no_valid_grid(changes):
    assert "no valid grid" in grid(**changes).problem()
    assert grid().problem() is None
