"""A grid of segmented slices."""

from __future__ import annotations

import numpy as np

from nnunet_hetero.evaluation.report.figures import OverlayRow, Picture, overlay_grid


def test_overlay_grid_shows_prediction_and_truth():
    labels = np.zeros((6, 8), int)
    labels[2:4, 2:5] = 1
    picture = Picture("a\nDice 50.0", np.ones((6, 8)), labels, np.roll(labels, 1), aspect=2)
    figure = overlay_grid([OverlayRow("T1", (picture,)), OverlayRow("CT", (picture,))], ["only"], {"x": (1,)})
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 2 and shown[0].get_title() == "only\na\nDice 50.0"
    np.testing.assert_array_equal(shown[0].images[1].get_array()[..., 3] > 0, np.roll(labels, 1) > 0)
    assert shown[0].collections and shown[0].get_aspect() == 2
