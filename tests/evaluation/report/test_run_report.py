"""The page of one evaluation, and what it is made of."""

from __future__ import annotations

import csv
import json
import re

import pytest
from helpers.evaluation import evaluate
from helpers.results.invented_evaluation import random_scores, write_additive, write_evaluation

from nnunet_hetero.evaluation.report.ranked_cases import ranked_overlays, region_labels
from nnunet_hetero.evaluation.report.run_report import facts_of, run_figures, write_run_figures, write_run_report
from nnunet_hetero.evaluation.sweep.run import read_run


@pytest.fixture
def folder(tmp_path):
    return write_additive(tmp_path)


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
