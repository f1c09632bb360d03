"""Rigid transforms: their inverse, how far they move, how far they are apart."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.intake.registration.rigid import box_corners, degrees, distance, identity, inverse, shift, shifted

CENTRE = np.array([10.0, -20.0, 5.0])


@pytest.fixture
def turned():
    transform = shifted(CENTRE, np.array([3.0, 4.0, 0.0]))
    transform.SetRotation(0.2, 0.0, 0.0)
    return transform


def test_what_it_moves_by(turned):
    assert shift(turned, CENTRE) == pytest.approx(5)
    assert degrees(turned) == pytest.approx(np.degrees(0.2))
    assert shift(identity(CENTRE), CENTRE) == degrees(identity(CENTRE)) == 0


def test_the_way_back(turned):
    back = inverse(turned, np.zeros(3))
    for point in ([0.0, 0.0, 0.0], [50.0, -10.0, 30.0]):
        assert np.allclose(back.TransformPoint(turned.TransformPoint(point)), point)
    assert isinstance(back, sitk.Euler3DTransform)


def test_distance_of_two(turned):
    points = np.array([[0.0, 0, 0], [100, 0, 0]])
    moved = shifted(CENTRE, np.array([0.0, 0.0, 2.0]))
    assert distance(identity(CENTRE), moved, points) == pytest.approx(2)
    assert distance(turned, turned, points) == 0


def test_corners_of_what_is_there():
    array = np.zeros((6, 7, 8), np.uint8)
    array[2:4, 1:5, 3] = 1
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([1.0, 2.0, 3.0])
    image.SetOrigin([100.0, 0.0, 0.0])
    corners = box_corners(image)
    assert corners.min(axis=0).tolist() == [102.5, 1.0, 4.5]
    assert corners.max(axis=0).tolist() == [103.5, 9.0, 10.5]
    assert np.ptp(box_corners(sitk.Image(4, 4, 4, sitk.sitkUInt8)), axis=0).tolist() == [4, 4, 4]
