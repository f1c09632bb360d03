"""What metrics share of a region's masks."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.evaluation.scores.masks import RegionMasks


def masks(shape=(3, 4, 5)) -> RegionMasks:
    prediction, truth = np.zeros(shape, bool), np.zeros(shape, bool)
    prediction[0, 1, 0:3], truth[0, 1, 1:5] = True, True
    return RegionMasks(prediction, truth, (2.0, 1.0, 0.5))


def test_counts_and_sizes():
    found = masks()
    assert (found.predicted, found.true, found.hits) == (3, 4, 2)
    assert found.is_volume and found.axes == (0, 1, 2)
    assert found.voxel == 1.0
    assert found.diagonal == pytest.approx((6**2 + 4**2 + 2.5**2) ** 0.5)


def test_a_slice_has_no_depth():
    found = masks((1, 4, 5))
    assert not found.is_volume and found.axes == (1, 2)
    assert found.diagonal == pytest.approx((4**2 + 2.5**2) ** 0.5)


def test_distances_are_computed_once():
    found = masks()
    assert found.surface_distances is found.surface_distances
    assert sorted(found.surface_distances.first.tolist()) == [0, 0, 0.5]
    assert sorted(found.surface_distances.second.tolist()) == [0, 0, 0.5, 1.0]
