"""Distances between surfaces: MONAI's own functions, and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import gaussian_filter

from nnunet_hetero.evaluation.scores.surface import surface_distances


def blob(seed: int, shape=(18, 20, 22)) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2) > 0.05


class TestSurfaceDistances:
    @pytest.mark.parametrize("shape", [(18, 20, 22), (1, 20, 22)])
    @pytest.mark.parametrize("tolerance", [0.5, 2.0])
    def test_those_of_monai(self, shape, tolerance):
        first, second = blob(0, shape), blob(1, shape)
        spacing = (3.0, 1.0, 0.5)
        found = surface_distances(first, second, spacing)
        images = [torch.from_numpy(mask.squeeze())[None, None].float() for mask in (first, second)]
        edges = list(spacing[-images[0].ndim + 2 :])
        options = {"include_background": True, "spacing": edges}
        assert found.hd95 == pytest.approx(compute_hausdorff_distance(*images, percentile=95, **options).item())
        assert found.within(tolerance) == pytest.approx(compute_surface_dice(*images, [tolerance], **options).item())

    def test_by_hand(self):
        """Two plates of one voxel, three voxels of 2 mm apart."""
        first, second = (np.zeros((10, 9, 9), bool) for _ in range(2))
        first[2], second[5] = True, True
        found = surface_distances(first, second, (2.0, 1.0, 1.0))
        assert (found.hd95, found.within(5.9), found.within(6.0)) == (6.0, 0.0, 1.0)

    def test_half_of_the_surface(self):
        """A row of ten voxels against the same row with ten more beside it: all of one surface, half of the other."""
        first, second = (np.zeros((4, 4, 40), bool) for _ in range(2))
        first[1, 1, 5:15], second[1, 1, 5:25] = True, True
        found = surface_distances(first, second, (1.0, 1.0, 1.0))
        assert found.within(0.0) == pytest.approx((10 + 10) / (10 + 20))
        # Distances of the longer row: ten times 0, then 1 to 10; their 95th percentile lies at place 18.05 of 0 to 19.
        assert found.hd95 == pytest.approx(9.05)

    def test_equal_masks(self):
        found = surface_distances(blob(0), blob(0), (1.0, 1.0, 1.0))
        assert (found.hd95, found.within(0.0)) == (0.0, 1.0)
