"""A rim that only a resampled image has is cut off; an image that shows more of the head keeps it."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.intake.images.common_brain import WIDEST_RIM, brain_of, cut_to

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
    found, note = cut_to(image, brain_of(cube(4)))
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(cube(4)))
    assert note == "cut to the reference's brain: 0.1% of it lay outside"  # 1 of 1729 voxels


@pytest.mark.parametrize("margin", [4, 6])
def test_nothing_outside_nothing_done(margin):
    image = cube(margin)
    assert cut_to(image, brain_of(cube(4))) == (image, "")


def test_an_image_that_shows_more_keeps_it():
    image = cube(3)
    assert WIDEST_RIM < 1 - (12 / 14) ** 3
    found, note = cut_to(image, brain_of(cube(4)))
    assert found is image and "37% of it lies outside" in note


def test_an_empty_image():
    empty = cube(4, 0.0)
    assert cut_to(empty, brain_of(cube(4))) == (empty, "")
