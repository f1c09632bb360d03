"""The picture of a case: panels where they belong, edges where the image has them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import motion, moved, phantom_images

from nnunet_hetero.intake.registration.mosaic import EDGE_COLOUR, GAP, PANEL, MosaicRow, mosaic
from nnunet_hetero.intake.registration.rigid import inverse


def _edges(picture: np.ndarray) -> np.ndarray:
    return (picture == EDGE_COLOUR).all(axis=-1)


def test_rows_and_panels():
    images = phantom_images()
    flair = moved(images["FLAIR"], motion(images["FLAIR"]))
    back = inverse(motion(images["FLAIR"]), np.zeros(3))
    rows = [MosaicRow("T2: same grid", images["T2"], None), MosaicRow("FLAIR: registered", flair, back)]
    picture = mosaic("Fall ä", images["T1"], rows)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    third = picture.shape[0] // 3
    left, right = np.split(_edges(picture), [picture.shape[1] // 2], axis=1)
    assert not left[:third].any() and left[third : 2 * third].any() and left[2 * third :].any()
    # What was not moved has three panels.
    assert not right[third : 2 * third].any() and right[2 * third :].any()


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "SLP"])
def test_the_head_is_up_and_right_is_left(orientation):
    """A head whose front upper right quarter is bright: it is at the upper left of every plane that shows it."""
    array = np.full((40, 40, 40), 0, np.float32)
    array[8:32, 8:32, 8:32] = 50
    array[19:32, 8:21, 8:21] = 100  # up, to the front, to the right
    picture = mosaic("", sitk.DICOMOrient(sitk.GetImageFromArray(array), orientation), [])[..., 0].astype(int)
    panels = [picture[22 : 22 + PANEL, left : left + PANEL] for left in range(GAP, 3 * (PANEL + GAP), PANEL + GAP)]
    axial, coronal, sagittal = panels
    middle = PANEL // 2
    for panel in (axial, coronal, sagittal):
        quarters = [half[:, :middle].mean() for half in (panel[:middle], panel[middle:])]
        assert quarters[0] > 1.4 * quarters[1]
    assert axial[:middle, :middle].mean() > 1.4 * axial[:middle, middle:].mean()
