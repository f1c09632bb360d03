"""Pictures of one case."""

from __future__ import annotations

import numpy as np
from helpers.looking.pictured import REGIONS, texts

from nnunet_hetero.evaluation.report.figures import completion_panel, overlay_panel, uncertainty_panel


def test_panel_greys_out_what_was_not_given(case):
    images, truth = case
    predictions = {"T1+T1c+FLAIR": truth, "T1c": np.zeros_like(truth)}
    figure = overlay_panel(images, truth, predictions, REGIONS, {"T1c": "Dice 0.0"})
    assert len(figure.axes) == 3 * 4
    assert texts(figure).count("not given") == 2
    assert "truth" in texts(figure)
    assert "prediction\nDice 0.0" in texts(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(REGIONS)


def test_panel_shows_the_largest_part_of_the_tumour(case):
    images, truth = case
    (axes,) = [axes for axes in overlay_panel(images, truth, {}, REGIONS).axes if axes.get_title() == "truth"]
    shown = axes.images[0].get_array()
    assert shown.shape == (12, 10)  # the head and a margin
    assert (shown == images["FLAIR"][2]).all()


def test_case_without_tumour(case):
    """All images are shown in their first slice, and nothing is tinted or outlined."""
    images, truth = case
    figure = overlay_panel(images, np.zeros_like(truth), {"T1": np.zeros_like(truth)}, REGIONS)
    figure.draw_without_rendering()
    of_case, of_subset = np.array(figure.axes).reshape(2, len(images) + 1)
    for axes, image in zip(of_case, images.values(), strict=False):
        shown = axes.images[0].get_array()
        assert shown.any() and np.isin(shown, image[0]).all()
    for axes in (of_case[-1], of_subset[-1]):
        background, tint = axes.images
        assert background.get_array().any() and not tint.get_array().any()
        assert not axes.collections


class TestPanels:
    def test_completed_next_to_real_and_their_difference(self, case):
        images, truth = case[0], case[1]
        real = images["T1"]
        figure = completion_panel({"T1 from FLAIR": (real, real), "T1 from T1c": (real, 0 * real)}, truth)
        pictures = [axes.images[0].get_array() for axes in figure.axes]
        assert len(pictures) == 6
        np.testing.assert_array_equal(pictures[0], pictures[1])
        assert not pictures[2].any()
        np.testing.assert_array_equal(pictures[5], pictures[3])

    def test_uncertainty_of_every_row_in_the_slice_of_the_tumour(self, case):
        images, truth = case[0], case[1]
        position = int((truth > 0).sum(axis=(1, 2)).argmax())
        entropy = np.zeros(truth.shape)
        entropy[position] = 0.5
        rows = {"T1": (truth, entropy, 0 * entropy), "FLAIR": (truth, 0 * entropy, 0 * entropy)}
        figure = uncertainty_panel(images["T1"], truth, rows, REGIONS)
        columns = [axes.get_title() for axes in figure.axes[:4]]
        assert columns == ["truth", "prediction", "entropy", "mutual information"]
        shown = [axes.images[-1].get_array() for axes in figure.axes[:8]]
        assert np.ma.count(shown[2]) == shown[2].size and np.ma.count(shown[3]) == 0
        assert np.ma.count(shown[6]) == 0
