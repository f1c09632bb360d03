"""Pictures, and the page that holds them."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from nnunet_hetero.evaluation.report.figures import completion_panel, heat_map, overlay_panel, uncertainty_panel
from nnunet_hetero.evaluation.report.page import write_report
from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.modalities import Modalities, all_subsets

MODALITIES = Modalities(("T1", "T1c", "FLAIR"))
REGIONS = {"whole tumor": (1, 2), "tumor core": 2}


@pytest.fixture
def summary():
    rows = [
        {
            "case": "a",
            "subset": MODALITIES.label(subset),
            "n_modalities": len(subset),
            "region": region,
            "dice": 0.2 * len(subset) + 0.1 * number if subset != (1,) else math.nan,
        }
        for subset in all_subsets(3)
        for number, region in enumerate(REGIONS)
    ]
    return summarise(rows, MODALITIES, list(REGIONS))


@pytest.fixture
def case():
    images = {name: np.zeros((4, 12, 10)) for name in MODALITIES.names}
    for number, image in enumerate(images.values()):
        image[:, 2:10, 1:9] = np.random.default_rng(number).uniform(1, 2, (4, 8, 8))
    truth = np.zeros((4, 12, 10), np.uint8)
    truth[2, 4:8, 3:7] = 1
    truth[2, 5:7, 4:6] = 2
    return images, truth


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title, axes.yaxis.label)]


class TestFigures:
    def test_heat_map_has_every_value(self, summary):
        dots, heat = heat_map(summary).axes
        assert len(heat.texts) == 7 * 3
        assert [text.get_text() for text in heat.texts[-3:]] == ["60.0", "70.0", "65.0"]
        assert "–" in [text.get_text() for text in heat.texts]
        assert len(dots.lines) == 7 * 3

    def test_panel_greys_out_what_was_not_given(self, case):
        images, truth = case
        predictions = {"T1+T1c+FLAIR": truth, "T1c": np.zeros_like(truth)}
        figure = overlay_panel(images, truth, predictions, REGIONS, {"T1c": "Dice 0.0"})
        assert len(figure.axes) == 3 * 4
        assert texts(figure).count("not given") == 2
        assert "truth" in texts(figure)
        assert "prediction\nDice 0.0" in texts(figure)
        assert [text.get_text() for text in figure.legends[0].get_texts()] == list(REGIONS)

    def test_panel_shows_the_largest_part_of_the_tumour(self, case):
        images, truth = case
        (axes,) = [axes for axes in overlay_panel(images, truth, {}, REGIONS).axes if axes.get_title() == "truth"]
        shown = axes.images[0].get_array()
        assert shown.shape == (12, 10)  # the head and a margin
        assert (shown == images["FLAIR"][2]).all()

    def test_case_without_tumour(self, case):
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


class TestReport:
    def test_page_is_complete_and_self_contained(self, summary, tmp_path):
        page = write_report(
            tmp_path / "report.html",
            "Title <b>",
            summary,
            [("All subsets", heat_map(summary))],
            {"nnU-Net": "2.8.1"},
            ["nnUNetv2_train 501"],
            "Introduction.",
        ).read_text(encoding="utf-8")
        for part in ("Title &lt;b&gt;", "Introduction.", "All subsets", "2.8.1", "nnUNetv2_train 501", "mean of all"):
            assert part in page
        assert page.count("<tr") == 1 + 7 + 3 + 1 + 1  # header, subsets, sizes, mean, fact
        assert re.findall(r'src="(?!data:)', page) == []
        assert not re.search(r"https?://|@import|<script|<link", page)

    def test_headlines(self, summary, tmp_path):
        page = write_report(tmp_path / "report.html", "Title", summary).read_text(encoding="utf-8")
        headlines = re.findall(r"<li><b>(.*?)</b><span>(.*?)</span>", page)
        assert headlines == [
            ("65.0", "all modalities"),
            ("25.0", "one modality, mean"),
            ("25.0", "lowest subset (T1)"),
            ("41.7", "mean of 6 subsets"),
        ]
        assert "Pictures" not in page


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


class TestMoreTables:
    def test_stand_on_the_page_with_their_notes(self, tmp_path, summary):
        tables = [("Volumes", [["case", "ml"], ["a<b", "1.5"]], "A note.")]
        page = write_report(tmp_path / "report.html", "Title", summary, tables=tables).read_text(encoding="utf-8")
        assert "<h2>Volumes</h2>" in page and "A note." in page
        assert "a&lt;b" in page and ">1.5</td>" in page
