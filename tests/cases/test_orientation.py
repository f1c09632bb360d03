from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.orientations import aff2axcodes, axcodes2ornt, io_orientation, ornt_transform
from scipy.spatial.transform import Rotation

from nnunet_hetero.cases.geometry import Geometry
from nnunet_hetero.cases.orientation import (
    angle_off_axes,
    axis_codes,
    obliqueness,
    orientation_of,
    reoriented,
    require_orientation,
    turned,
    turned_grid,
)
from nnunet_hetero.errors import DataError, SettingsError

LETTERS = [letters for order in itertools.permutations(("LR", "PA", "IS")) for letters in itertools.product(*order)]
ORIENTATIONS = ["".join(letters) for letters in LETTERS]
SHAPE, SPACING, ORIGIN = (4, 5, 6), (0.5, 1.0, 3.0), (-7.0, 11.0, 13.5)
STRAIGHT = np.eye(3)
OBLIQUE = Rotation.from_euler("xyz", [10, -15, 20], degrees=True).as_matrix()


def image_of(direction=STRAIGHT, dtype=np.float64) -> sitk.Image:
    image = sitk.GetImageFromArray(np.arange(np.prod(SHAPE)).reshape(SHAPE[::-1]).astype(dtype))
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(np.ravel(direction).tolist())
    return image


def positions(image: sitk.Image) -> dict[float, tuple[float, ...]]:
    """Where each voxel lies, by its value."""
    indices = itertools.product(*map(range, image.GetSize()))
    return {image[index]: image.TransformIndexToPhysicalPoint(index) for index in indices}


def test_there_are_48():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["straight", "oblique"])
def test_every_orientation_keeps_values_and_places(direction):
    image = image_of(direction)
    places = positions(image)
    start = orientation_of(image)
    assert start == "LPS"
    for orientation in ORIENTATIONS:
        found = reoriented(image, orientation)
        assert orientation_of(found) == orientation
        moved = positions(found)
        assert moved.keys() == places.keys()
        np.testing.assert_allclose([*moved.values()], [places[value] for value in moved], atol=1e-9)
        back = reoriented(found, start)
        assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
        np.testing.assert_allclose(back.GetOrigin(), ORIGIN, atol=1e-9)
        assert back.GetDirection() == image.GetDirection()
        assert back.GetSpacing() == SPACING


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_by_other_libraries(orientation):
    """The letters mean what they mean to nibabel and to ITK."""
    turn = ornt_transform(io_orientation(np.eye(4)), axcodes2ornt(orientation))
    nifti = nibabel.Nifti1Image(np.zeros((3, 4, 5)), np.eye(4)).as_reoriented(turn)
    assert axis_codes(nifti.affine) == "".join(aff2axcodes(nifti.affine)) == orientation
    assert orientation_of(sitk.DICOMOrient(image_of(), orientation)) == orientation


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_bits_are_kept(dtype):
    image = image_of(dtype=dtype)
    found = reoriented(reoriented(image, "SRA"), "LPS")
    assert found.GetPixelID() == image.GetPixelID()
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(image))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_arrays_and_grids_go_with_images(orientation):
    image = image_of(OBLIQUE)
    expected = reoriented(image, orientation)
    # SimpleITK's arrays have the axes of the file backwards.
    array = turned(sitk.GetArrayFromImage(image), "LPS"[::-1], orientation[::-1])
    assert np.array_equal(array, sitk.GetArrayFromImage(expected))
    grid = turned_grid(Geometry(SHAPE, np.array(SPACING), OBLIQUE, np.array(ORIGIN)), orientation)
    assert grid.shape == expected.GetSize()
    np.testing.assert_allclose(grid.origin, expected.GetOrigin(), atol=1e-9)
    assert np.array_equal(grid.spacing, expected.GetSpacing())
    assert np.array_equal(np.ravel(grid.direction), expected.GetDirection())


def test_only_the_last_axes_are_turned():
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    found = turned(array, "SPL", "LSP")
    assert found.shape == (2, 5, 3, 4)
    assert np.array_equal(found[1], turned(array[1], "SPL", "LSP"))


class TestObliqueness:
    def test_straight(self):
        assert obliqueness(image_of()) == 0
        assert angle_off_axes(np.diag([-2.0, 3.0, 4.0, 1.0])) == 0

    @pytest.mark.parametrize("angle", [1, 12, 30, 44.9])
    @pytest.mark.parametrize("axis", "xyz")
    def test_is_the_angle(self, angle, axis):
        for orientation in ("LPS", "RAS", "SRP"):
            straight = reoriented(image_of(), orientation)
            turn = Rotation.from_euler(axis, angle, degrees=True).as_matrix()
            direction = turn @ np.reshape(straight.GetDirection(), (3, 3))
            straight.SetDirection(np.ravel(direction).tolist())
            assert obliqueness(straight) == pytest.approx(angle, abs=1e-4)
            assert orientation_of(straight) == orientation

    @pytest.mark.parametrize("axis", "xyz")
    @pytest.mark.parametrize("noise", range(3))
    def test_half_way_is_the_same_for_all_files(self, axis, noise):
        """At 45 degrees rounding must not decide: the same case in another file would be turned otherwise."""
        turn = Rotation.from_euler(axis, 45, degrees=True).as_matrix()
        image = image_of(turn)
        rounding = np.random.default_rng(noise).normal(0, 1e-7, (3, 3))
        world = None
        for orientation in ORIENTATIONS:
            other = reoriented(image, orientation)
            affine = np.eye(4)
            affine[:3, :3] = np.diag([-1, -1, 1]) @ np.reshape(other.GetDirection(), (3, 3)) + rounding
            # The voxels of a canonical file must always be the same ones.
            there = turned(sitk.GetArrayFromImage(other), axis_codes(affine)[::-1], "SAR")
            world = there if world is None else world
            assert np.array_equal(there, world)
        assert obliqueness(image) == pytest.approx(45, abs=1e-4)


@pytest.mark.parametrize("orientation", ["RAR", "RA", "RASL", "XYZ", "", "R A"])
def test_no_orientation(orientation):
    with pytest.raises(SettingsError, match=r"--to is '.*three letters"):
        require_orientation(orientation, "--to")
    with pytest.raises(SettingsError, match="three letters"):
        reoriented(image_of(), orientation)


def test_small_letters():
    assert require_orientation("ras") == "RAS"


def test_two_axes_have_none():
    image = sitk.GetImageFromArray(np.zeros((3, 4)))
    for function in (orientation_of, obliqueness):
        with pytest.raises(DataError, match="2 axes"):
            function(image)
