"""Working images: same place, cubic voxels, nothing lost; tissue and its surroundings."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.intake.registration.working import around_tissue, inside_of_tissue, tissue_mask, working_image


@pytest.fixture
def blob():
    """A ball of 100 in zeros, voxels of 1 × 2 × 5 mm, oblique."""
    image = sitk.GaussianSource(sitk.sitkFloat32, [40, 20, 8], [8.0] * 3, [20.0] * 3, 100, [0, 0, 0], [1, 2, 5])
    image = sitk.Mask(image, image > 5)
    turn = sitk.VersorTransform([0.0, 0.0, 1.0], 0.3)
    image.SetDirection(turn.GetMatrix())
    image.SetOrigin([7.0, -3.0, 2.0])
    return image


def _centre_of_mass(image: sitk.Image) -> np.ndarray:
    values = sitk.GetArrayFromImage(image)
    places = np.argwhere(values)
    middle = np.average(places, axis=0, weights=values[tuple(places.T)])[::-1]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(middle.tolist()))


@pytest.mark.parametrize("edge", [2.0, 4.0])
def test_same_place_on_cubes(blob, edge):
    found = working_image(blob, edge)
    assert found.GetSpacing() == (edge,) * 3 and found.GetDirection() == blob.GetDirection()
    assert found.GetSize() == tuple(np.ceil(np.array(blob.GetSize()) * blob.GetSpacing() / edge).astype(int))
    assert np.linalg.norm(_centre_of_mass(found) - _centre_of_mass(blob)) < 0.3


def test_outliers_are_cut_and_the_input_stays(blob):
    array = sitk.GetArrayFromImage(blob)
    array[4, 10, 20] = 1e6
    hot = sitk.GetImageFromArray(array)
    hot.CopyInformation(blob)
    assert sitk.GetArrayFromImage(working_image(hot, 4.0)).max() < 110
    assert sitk.GetArrayFromImage(hot).max() == 1e6


def test_tissue_and_its_surroundings(blob):
    image = working_image(blob, 2.0)
    tissue = sitk.GetArrayFromImage(tissue_mask(image)) > 0
    around = sitk.GetArrayFromImage(around_tissue(tissue_mask(image), 4.0)) > 0
    assert 0.05 < tissue.mean() < 0.6
    assert around[tissue].all() and around.sum() > 1.3 * tissue.sum()


def test_the_inside(blob):
    """Without its rim; a thin one has no inside, and counts as a whole."""
    mask = tissue_mask(working_image(blob, 2.0))
    tissue, inside = (sitk.GetArrayFromImage(one) > 0 for one in (mask, inside_of_tissue(mask, 4.0)))
    assert tissue[inside].all() and 0.1 * tissue.sum() < inside.sum() < 0.8 * tissue.sum()
    assert np.array_equal(sitk.GetArrayFromImage(inside_of_tissue(mask, 40.0)) > 0, tissue)


def test_an_image_of_few_slices_and_an_empty_one():
    thin = sitk.Image(20, 20, 2, sitk.sitkInt16)
    assert working_image(thin, 4.0).GetSize() == (5, 5, 1)
    assert not sitk.GetArrayFromImage(tissue_mask(working_image(thin, 4.0))).any()
