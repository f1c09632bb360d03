"""Results go back to where the images lay."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import dice, motion, moved_labels, phantom_images

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake.images.grids import grid_of


@pytest.fixture(scope="module")
def label_map():
    """As a model segments it: on the prepared grid."""
    return reoriented(phantom_images()["seg"], "RAS")


def test_on_the_reference_every_voxel_keeps_its_label(prepared, label_map):
    back = prepared.way_back.labels(label_map)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(phantom_images()["seg"]))
    assert grid_of(back).displacement(grid_of(phantom_images()["T1"])) < 1e-6


def test_on_the_image_that_was_moved(prepared, label_map):
    truth = moved_labels(phantom_images()["seg"], motion(phantom_images()["FLAIR"]))
    for given in (label_map, sitk.GetArrayFromImage(label_map)):
        back = prepared.way_back.labels(given, "FLAIR")
        assert grid_of(back).difference(grid_of(truth)) is None and dice(back, truth) > 0.93


def test_maps(prepared):
    image = reoriented(phantom_images()["T2"], "RAS")
    back = prepared.way_back.map(image)
    assert back.GetPixelID() == sitk.sitkFloat32
    assert np.allclose(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(phantom_images()["T2"]), atol=0.01)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_a_label_map_of_decimals(prepared, label_map, value):
    spoilt = sitk.GetArrayFromImage(label_map).astype(np.float32)
    assert prepared.way_back.labels(spoilt).GetSize() == phantom_images()["T1"].GetSize()
    spoilt[3, 4, 5] = value
    with pytest.raises(DataError, match=f"whole numbers, and the result has {value:g}"):
        prepared.way_back.labels(spoilt, "FLAIR")


def test_what_lies_elsewhere(prepared, label_map):
    way = prepared.way_back
    with pytest.raises(SettingsError, match="has no image of T9; it has T1, T1c, T2, FLAIR"):
        way.labels(label_map, "T9")
    with pytest.raises(DataError, match="does not lie where the prepared images do: direction"):
        way.labels(phantom_images()["seg"])
    with pytest.raises(DataError, match=r"the result has the shape \(2, 2, 2\)"):
        way.labels(np.zeros((2, 2, 2)))
    with pytest.raises(DataError, match="has 2 axes"):
        way.labels(label_map[:, :, 0])
