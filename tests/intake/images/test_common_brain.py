"""A rim that only a resampled image has is cut off; an image that shows more of the head keeps it."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.intake.images.common_brain import (
    WIDEST_RIM,
    brain_of,
    cut_to,
    in_one_brain,
    lacking_shares,
    told_zeros,
)

SHAPE = (20, 20, 20)


def cube(margin: int, value: float = 5.0) -> sitk.Image:
    """An image that is zero but for a cube as far from its faces."""
    array = np.zeros(SHAPE, np.float32)
    array[(slice(margin, -margin),) * 3] = value
    return sitk.GetImageFromArray(array)


def test_holes_are_part_of_a_brain():
    image = cube(4)
    image[10, 10, 10] = 0.0
    assert np.array_equal(sitk.GetArrayFromImage(brain_of(image)), sitk.GetArrayFromImage(cube(4, 1.0)))


def test_a_rim_is_cut_off():
    image = cube(4)
    image[3, 10, 10] = 2.0
    found, note = cut_to(image, brain_of(cube(4)), "the brain")
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(cube(4)))
    assert note == "cut to the brain: 0.1% of it lay outside"  # 1 of 1729 voxels


@pytest.mark.parametrize("margin", [4, 6])
def test_nothing_outside_nothing_done(margin):
    image = cube(margin)
    assert cut_to(image, brain_of(cube(4)), "the brain") == (image, "")


def test_an_image_that_shows_more_keeps_it():
    image = cube(3)
    assert WIDEST_RIM < 1 - (12 / 14) ** 3
    found, note = cut_to(image, brain_of(cube(4)), "the brain")
    assert found is image and "37% of it lies outside" in note


def test_an_empty_image():
    empty = cube(4, 0.0)
    assert cut_to(empty, brain_of(cube(4)), "the brain") == (empty, "")


class TestInOneBrain:
    """Which images are cut, and to what."""

    def rimmed(self) -> dict[str, sitk.Image]:
        """Two images with a voxel each that the other has not, and one that shows a part."""
        images = {"T1": cube(4), "T2": cube(4), "FLAIR": cube(8)}
        images["T1"][3, 10, 10] = images["T2"][16, 10, 10] = 2.0
        return images

    def test_images_on_one_grid_are_untouched(self):
        images = self.rimmed()
        found, notes = in_one_brain(images, "T1", [])
        assert all(found[name] is image for name, image in images.items())
        assert set(notes.values()) == {""}

    def test_resampled_ones_are_cut_to_the_reference(self):
        images = self.rimmed()
        found, notes = in_one_brain(images, "T1", ["T2"])
        assert found["T1"] is images["T1"] and found["FLAIR"] is images["FLAIR"]
        assert np.array_equal(sitk.GetArrayFromImage(found["T2"]), sitk.GetArrayFromImage(cube(4)))
        assert "the reference's brain" in notes["T2"] and not notes["T1"] and not notes["FLAIR"]

    def test_all_are_cut_to_what_they_share_on_demand(self):
        found, notes = in_one_brain(self.rimmed(), "T1", [], True)
        for name in ("T1", "T2"):
            assert np.array_equal(sitk.GetArrayFromImage(found[name]), sitk.GetArrayFromImage(cube(4)))
            assert notes[name].startswith("cut to the brain that all share")
        assert not notes["FLAIR"] and lacking_shares(found)["T1"] == 0

    def test_images_that_share_too_little_stay(self):
        upper, lower = cube(4), cube(4)
        upper[:, :, :10] = sitk.Image(20, 20, 10, sitk.sitkFloat32)
        lower[:, :, 10:] = sitk.Image(20, 20, 10, sitk.sitkFloat32)
        found, notes = in_one_brain({"T1": upper, "T2": lower}, "T1", [], True)
        assert (found["T1"], found["T2"]) == (upper, lower) and set(notes.values()) == {""}


def test_zeros_in_the_brain_of_others_are_told():
    rim = cube(4)
    rim[5, 5, 5] = 0.0
    few = told_zeros({"T1": cube(4), "T2": rim})
    assert few == {"T1": "", "T2": ""}  # 1 of 1728
    rim[4:8, 4:8, 4:6] = sitk.Image(4, 4, 2, sitk.sitkFloat32)
    told = told_zeros({"T1": cube(4), "T2": rim})
    assert told["T1"] == "" and "zero in 1.9% of the voxels" in told["T2"] and "--common-brain" in told["T2"]
    told = told_zeros({"T1": cube(4), "T2": cube(5)})
    assert "zero in 42.1%" in told["T2"] and "shows less of the head" in told["T2"]
