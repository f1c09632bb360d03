"""The page of one evaluation, and what it is made of."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from helpers.evaluation import evaluate
from helpers.invented_evaluation import random_scores, write_evaluation

from nnunet_hetero.evaluation.compare.gains import modality_gains
from nnunet_hetero.evaluation.report.figures import OverlayRow, Picture, gain_bars, method_bars, overlay_grid
from nnunet_hetero.evaluation.report.figures.heat_maps import difference_map
from nnunet_hetero.evaluation.report.ranked_cases import ranked_overlays, region_labels
from nnunet_hetero.evaluation.report.run_report import facts_of, run_figures, write_run_figures, write_run_report
from nnunet_hetero.evaluation.sweep.run import read_run


def additive(case, subset, region):
    """T1 brings 1, CT 20 percentage points, and 5 more for cases with an odd number; one case has no core."""
    if region == "core" and case == 2:
        return None
    return 0.3 + 0.01 * (0 in subset) + (0.2 + 0.05 * (case % 2)) * (1 in subset) + case / 1000


@pytest.fixture
def folder(tmp_path):
    return write_evaluation(
        tmp_path / "model" / "fold_0" / "evaluation", additive, ("T1", "CT"), ("whole", "core"), cases=4, pictures=True
    )


class TestGains:
    def test_by_hand(self, folder):
        gains = modality_gains(read_run(folder))
        assert list(gains) == ["T1", "CT"] and list(gains["CT"]) == ["whole", "core"]
        # The only pair: T1 against T1+CT. Two of four cases, and two of three with a core, have 5 more.
        assert gains["CT"]["whole"] == pytest.approx([22.5])
        assert gains["CT"]["core"] == pytest.approx([20 + 5 * 2 / 3])
        assert gains["T1"]["whole"] == pytest.approx([1])

    def test_cases_without_the_modality_do_not_shift_it(self, folder):
        table = folder / "metrics.csv"
        lines = table.read_text().splitlines()
        kept = [line for line in lines if not re.match(r"case_0[13],(CT|T1\+CT),", line)]
        table.write_text("\n".join(kept) + "\n")
        assert modality_gains(read_run(folder))["CT"]["whole"] == pytest.approx([20])

    def test_a_pair_per_subset_that_lacks_it(self, tmp_path):
        gains = modality_gains(read_run(write_evaluation(tmp_path, random_scores(0))))
        assert {len(pairs) for of_region in gains.values() for pairs in of_region.values()} == {7}

    def test_one_modality_has_none(self, tmp_path):
        assert modality_gains(read_run(write_evaluation(tmp_path, additive, ("T1",), ("whole",)))) == {}


class TestRankedCases:
    def test_worst_median_best(self, folder):
        rows, columns = ranked_overlays(read_run(folder))
        assert columns == ["worst", "median", "best"] and [row.subset for row in rows] == ["T1", "CT", "T1+CT"]
        # With CT cases 1 and 3 have 5 more.
        titles = [picture.title.splitlines()[0] for picture in rows[1].pictures]
        assert titles == ["case_00", "case_02", "case_03"]
        assert rows[1].pictures[2].title.endswith("Dice 55.3")
        assert rows[0].pictures[0].truth.shape == rows[0].pictures[0].image.shape

    @pytest.mark.parametrize(("cases", "columns"), [(1, ["the only case"]), (2, ["worst", "best"])])
    def test_few_cases(self, tmp_path, cases, columns):
        run = read_run(write_evaluation(tmp_path, additive, ("T1",), ("whole",), cases=cases, pictures=True))
        rows, found = ranked_overlays(run)
        assert found == columns and len(rows[0].pictures) == cases

    def test_labels_from_the_summary_or_the_model(self, folder):
        assert region_labels(read_run(folder)) == {"whole": (1,), "core": (1,)}
        summary = json.loads((folder / "summary.json").read_text())
        del summary["labels"]
        (folder / "summary.json").write_text(json.dumps(summary))
        assert region_labels(read_run(folder)) is None
        model = folder.parent.parent
        (model / "plans.json").write_text("{}")
        (model / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "whole": [1, 2], "core": 2}}))
        assert region_labels(read_run(folder)) == {"whole": (1, 2), "core": (2,)}


class TestFigures:
    def test_gain_bars_are_the_means_of_the_dots(self):
        gains = {"T1": {"a": np.array([1.0, 3.0, np.nan])}, "CT": {"a": np.array([np.nan])}}
        (axes,) = gain_bars(gains).axes
        assert [patch.get_height() for patch in axes.patches] == [2, 0]
        assert [len(line.get_ydata()) for line in axes.lines[:2]] == [2, 0]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["+ T1", "+ CT"]

    def test_method_bars(self):
        values = {"a": np.array([[50.0, np.nan], [60, 70]]), "b": np.zeros((2, 2))}
        figure = method_bars(("T1", "CT"), [[True, False], [True, True]], ("ours", "theirs"), values, "Dice in %")
        _, first, second = figure.axes
        assert [patch.get_width() for patch in first.patches] == [50, 60, 0, 70]
        assert first.get_xlim() == second.get_xlim()
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "theirs"]

    @pytest.mark.parametrize(("higher", "blue"), [(True, 0), (False, 1)])
    def test_better_is_blue(self, higher, blue):
        figure = difference_map(("T1",), [[True], [True]], ["a"], np.array([[5.0], [-5]]), [["+"], ["-"]], "x", higher)
        image = figure.axes[1].images[0]
        colours = image.cmap(image.norm(image.get_array()))[:, 0]
        assert colours[blue, 2] > colours[blue, 0] and colours[1 - blue, 0] > colours[1 - blue, 2]

    def test_overlay_grid_shows_prediction_and_truth(self):
        labels = np.zeros((6, 8), int)
        labels[2:4, 2:5] = 1
        picture = Picture("a\nDice 50.0", np.ones((6, 8)), labels, np.roll(labels, 1), aspect=2)
        figure = overlay_grid([OverlayRow("T1", (picture,)), OverlayRow("CT", (picture,))], ["only"], {"x": (1,)})
        shown = [axes for axes in figure.axes if axes.images]
        assert len(shown) == 2 and shown[0].get_title() == "only\na\nDice 50.0"
        np.testing.assert_array_equal(shown[0].images[1].get_array()[..., 3] > 0, np.roll(labels, 1) > 0)
        assert shown[0].collections and shown[0].get_aspect() == 2


class TestPage:
    def test_is_complete_and_self_contained(self, folder):
        page = write_run_report(folder)
        assert page == folder / "report.html"
        text = page.read_text(encoding="utf-8")
        for part in (
            "HeteroModalVAE: every subset of T1, CT",
            "What each modality brings",
            "From 1 modality",
            "From 2 modalities",
            "HD95 in mm",
            "Dice: as invented",
            "Nothing: every case was segmented",
            "Checkpoint of fold 0",
        ):
            assert part in text, part
        assert text.count("data:image/png;base64,") == 4
        assert re.findall(r'src="(?!data:)', text) == []
        assert not re.search(r"https?://|@import|<script|<link|url\(", text)
        assert "@media print" in text

    def test_failures_and_cases_left_out(self, folder):
        summary = json.loads((folder / "summary.json").read_text())
        summary |= {"failed": {"case_09": "Case 'case_09' has no <label>."}, "skipped": {"case_01": ["CT", "T1+CT"]}}
        (folder / "summary.json").write_text(json.dumps(summary))
        text = write_run_report(folder).read_text(encoding="utf-8")
        assert "Failed: Case &#39;case_09&#39; has no &lt;label&gt;." in text
        assert "case_01 does not have all modalities of 2 subset(s): CT, T1+CT." in text

    def test_without_slices_there_are_no_overlays(self, tmp_path):
        run = read_run(write_evaluation(tmp_path, random_scores(0)))
        assert [name for name, _, _ in run_figures(run)] == ["heat_map", "gain_by_modality"]

    def test_completed_images(self, folder):
        names = ("case", "subset", "n_modalities", "modality", "tissue", "psnr", "ssim")
        with (folder / "completion.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(names)
            writer.writerow(["case_00", "CT", 1, "T1", "brain", 20.0, 0.8])
            writer.writerow(["case_01", "CT", 1, "T1", "brain", 24.0, 0.9])
            writer.writerow(["case_01", "CT", 1, "T1", "tumor", "", ""])
        text = write_run_report(folder).read_text(encoding="utf-8")
        assert "Completed images" in text and "PSNR, brain" in text
        assert re.search(r">T1</td>\s*<td[^>]*>1</td>\s*<td>22\.0</td>\s*<td>0\.850</td>\s*<td>–</td>", text)

    def test_plans_and_settings_of_the_model(self, folder):
        model = folder.parent.parent
        plans = {
            "dataset_name": "Dataset501_X",
            "plans_name": "nnUNetPlans",
            "configurations": {
                "base": {"patch_size": [8, 16, 16], "batch_size": 2},
                "3d_fullres": {"inherits_from": "base", "batch_size": 4, "hetero_modal": {"kl_weight": 0.1}},
            },
        }
        (model / "plans.json").write_text(json.dumps(plans))
        (model / "dataset.json").write_text("{}")
        facts = facts_of(read_run(folder))
        assert facts["Patch size"] == "8 × 16 × 16" and facts["Batch size"] == "4"
        assert facts["Settings of the method"] == "kl_weight: 0.1"
        assert facts["Data set"] == "Dataset501_X" and facts["Mirroring"] == "True"

    def test_single_plots(self, folder):
        files = write_run_figures(folder)
        assert [file.name for file in files] == [
            "heat_map.png",
            "gain_by_modality.png",
            "overlays_1.png",
            "overlays_2.png",
        ]
        assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


class TestAfterEvaluation:
    def test_page_of_a_real_run(self, nnunet_folders, tmp_path):
        evaluate(nnunet_folders, folds=[0], output=tmp_path / "out", subsets=["T1", "T1+FLAIR", "FLAIR"])
        text = write_run_report(tmp_path / "out").read_text(encoding="utf-8")
        assert "From 1 modality" in text and "From 2 modalities" in text and "What each modality brings" in text
        run = read_run(tmp_path / "out")
        rows, _ = ranked_overlays(run)
        assert [row.subset for row in rows] == ["T1", "FLAIR", "T1+FLAIR"]
        assert set(region_labels(run)) == set(run.regions)
