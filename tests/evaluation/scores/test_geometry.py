"""Spatial axes and bounding boxes."""

from __future__ import annotations

import numpy as np

from nnunet_hetero.evaluation.scores.geometry import bounding_box, spatial_axes


class TestBoundingBox:
    def test_with_a_margin_as_far_as_the_image_goes(self):
        mask = np.zeros((5, 6, 7), bool)
        mask[1, 2:4, 6] = True
        assert bounding_box(mask) == (slice(1, 2), slice(2, 4), slice(6, 7))
        assert mask[bounding_box(mask, margin=2)].shape == (4, 6, 3)


def test_a_single_slice_is_a_2d_image():
    assert spatial_axes((1, 20, 30)) == (1, 2)
    assert spatial_axes((4, 20, 30)) == (0, 1, 2)
