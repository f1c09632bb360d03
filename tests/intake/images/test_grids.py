"""Grids in JSON, and images, maps and labels on other grids."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import dice, motion, moved, moved_labels, other_grid, phantom_images

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.intake.images.grids import (
    empty_image,
    grid_from,
    grid_of,
    image_of,
    resampled_image,
    resampled_labels,
    resampled_map,
    stored_grid,
    voxel_millilitres,
)

SAME = sitk.Euler3DTransform()


@pytest.fixture(scope="module")
def images():
    return phantom_images()


def test_a_grid_comes_back_from_json(images):
    grid = other_grid(images["T1"])
    again = grid_from(json.loads(json.dumps(stored_grid(grid))))
    assert again.shape == grid.shape and again.displacement(grid) == 0
    assert grid_of(empty_image(grid)).displacement(grid) == 0
    assert voxel_millilitres(grid) == pytest.approx(6.5 * 6.5 * 7.5 / 1000)


def test_resampling_onto_its_own_grid_changes_nothing(images):
    for name in ("T1", "T2"):
        found = resampled_image(images[name], grid_of(images[name]), SAME)
        assert np.allclose(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(images[name]), atol=0.05)
    labels = resampled_labels(images["seg"], grid_of(images["seg"]), SAME)
    assert np.array_equal(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(images["seg"]))


def test_background_stays_zero_and_nothing_overshoots(images):
    image = images["T2"]
    values = sitk.GetArrayFromImage(moved(image, motion(image)))
    assert (values == 0).mean() > 0.4
    before = sitk.GetArrayFromImage(image)
    assert values.min() >= before.min() and values.max() <= before.max()
    assert values[values != 0].min() > 0


def test_labels_are_smooth_and_of_the_same_values(images):
    labels = moved_labels(images["seg"], motion(images["seg"]))
    assert set(np.unique(sitk.GetArrayFromImage(labels))) <= set(np.unique(sitk.GetArrayFromImage(images["seg"])))
    back = resampled_labels(labels, grid_of(images["seg"]), motion(images["seg"]).GetInverse())
    assert dice(back, images["seg"]) > 0.93


def test_equal_shares_go_to_the_smaller_label_and_outside_is_background():
    array = np.zeros((1, 1, 4), np.uint8)
    array[..., 1], array[..., 2] = 3, 2
    labels = sitk.GetImageFromArray(array)
    grid = grid_of(labels)
    half = sitk.TranslationTransform(3, [0.5, 0.0, 0.0])
    found = sitk.GetArrayFromImage(resampled_labels(labels, grid, half)).ravel().tolist()
    assert found == [0, 2, 0, 0]
    far = sitk.TranslationTransform(3, [100.0, 0.0, 0.0])
    assert not sitk.GetArrayFromImage(resampled_labels(labels, grid, far)).any()


def test_maps_are_linear():
    ramp = sitk.GetImageFromArray(np.arange(8, dtype=np.float32).reshape(1, 1, 8))
    found = resampled_map(ramp, grid_of(ramp), sitk.TranslationTransform(3, [0.25, 0.0, 0.0]))
    assert sitk.GetArrayFromImage(found).ravel()[:7].tolist() == pytest.approx([0.25 + place for place in range(7)])


def test_turning_is_undone_to_the_bit(images):
    turned = reoriented(images["seg"], "SLA")
    back = resampled_labels(turned, grid_of(images["seg"]), SAME.GetInverse())
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(images["seg"]))


def test_coarser_voxels_are_averaged():
    noise = np.random.default_rng(0).normal(100, 10, (24, 24, 24)).astype(np.float32)
    image = sitk.GetImageFromArray(noise)
    grid = grid_of(image)
    coarse = grid_of(sitk.Shrink(image, [4, 4, 4]))
    found = sitk.GetArrayFromImage(resampled_image(image, coarse, SAME))
    assert found[1:-1, 1:-1, 1:-1].std() < 3
    assert grid.displacement(grid_of(image_of(noise, grid))) == 0
