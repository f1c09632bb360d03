"""Means over cases, subsets, folds and seeds; the tables; CSV files that are never overwritten."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from head_to_head import report
from head_to_head.cost import PLAIN
from head_to_head.scores import ALL, ScoredRun, means_of_method, means_of_run

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.evaluation.sweep.run import Run
from nnunet_hetero.modalities import Modalities

NAN = math.nan
SUBSETS = ((0,), (1,), (0, 1))
REGIONS = ("whole", "core")


def run_of(values) -> Run:
    """An evaluation of two modalities; values (subsets, cases, regions)."""
    values = np.asarray(values, float)
    cases = tuple(f"case_{number}" for number in range(values.shape[1]))
    modalities = Modalities(("T1", "T2"))
    measured = np.ones(values.shape[:2], bool)
    summary = summarise([], modalities, REGIONS)
    return Run(
        "x", Path("x"), summary, {}, modalities, REGIONS, SUBSETS[: len(values)], cases, {"dice": values}, measured
    )


FIRST = run_of([[[0.2, 0.4], [0.4, NAN]], [[0.6, 0.2], [0.8, 0.4]], [[0.9, 0.8], [0.7, 0.6]]])
SECOND = run_of([[[0.5, 0.5]], [[0.5, 0.5]], [[0.5, 0.5]]])


def cost(seconds: float) -> dict:
    return {
        "optimizer": "SGD",
        "lr": 0.01,
        "parameters": 1_000_000,
        "seconds": seconds,
        "cpu_seconds": seconds,
        "memory": 2**20 * 100 * seconds,
    }


@pytest.fixture
def findings():
    scored = [ScoredRun("ours", 0, 0, FIRST), ScoredRun("ours", 0, 1, SECOND), ScoredRun("dropout", 0, 0, SECOND)]
    completion = [
        {"method": "ours", "seed": 0, "fold": 0, "case": name, "modality": "T1", "psnr": psnr, "psnr_mean": 20.0}
        | {"ssim": 0.6, "ssim_mean": 0.5}
        for name, psnr in (("case_0", 21.0), ("case_1", 24.0))
    ]
    costs = {PLAIN: cost(0.5), "ours": cost(1.0), "dropout": cost(0.5)}
    return report.Findings(scored, costs, completion, ["A note."], "dropout")


class TestMeans:
    def test_over_cases_then_subsets_then_regions(self):
        means = means_of_run(FIRST, "dice")
        assert means["T1", "whole"] == pytest.approx(0.3)
        assert means["T1", "core"] == pytest.approx(0.4)  # the other case has no value
        assert means["T1", "mean"] == pytest.approx(0.35)
        assert means["1 modality", "whole"] == pytest.approx((0.3 + 0.7) / 2)
        assert means["2 modalities", "core"] == pytest.approx(0.7)
        assert means[ALL, "whole"] == pytest.approx((0.3 + 0.7 + 0.8) / 3)
        assert means[ALL, "mean"] == pytest.approx(((0.3 + 0.7 + 0.8) / 3 + (0.4 + 0.3 + 0.7) / 3) / 2)

    def test_a_region_without_any_value_has_no_mean(self):
        means = means_of_run(run_of([[[0.5, NAN]]]), "dice")
        assert math.isnan(means["T1", "core"]) and means["T1", "mean"] == 0.5

    def test_over_runs_with_their_spread(self):
        runs = [ScoredRun("ours", 0, fold, run) for fold, run in enumerate((FIRST, SECOND))]
        mean = means_of_method(runs, "dice")["T1", "whole"]
        assert (mean.value, mean.runs) == (pytest.approx(0.4), 2)
        assert mean.sd == pytest.approx(np.std([0.3, 0.5], ddof=1))

    def test_one_run_has_no_spread(self):
        assert math.isnan(means_of_method([ScoredRun("ours", 0, 0, FIRST)], "dice")["T1", "whole"].sd)

    def test_runs_of_other_subsets_are_refused(self):
        runs = [ScoredRun("ours", 0, 0, FIRST), ScoredRun("ours", 0, 1, run_of([[[0.5, 0.5]]]))]
        with pytest.raises(DataError, match="differ in subsets"):
            means_of_method(runs, "dice")


def cells(text: str, first: str) -> list[str]:
    """The cells of the first table row that begins with a text."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


class TestTables:
    def test_accuracy_beside_its_spread(self, findings):
        text = report.markdown_report(findings)
        assert cells(text, "method")[:4] == ["method", "runs", "1 modality", "2 modalities"]
        mean, sd = np.mean([0.5333333, 0.5]), np.std([0.5333333, 0.5], ddof=1)
        assert cells(text, "ours")[-4:] == [f"{100 * mean:.1f} ± {100 * sd:.1f}", "0.0 %", "1.000", "100"]
        assert cells(text, "dropout")[-4] == "50.0"

    def test_every_subset(self, findings):
        assert cells(report.markdown_report(findings), "T1") == ["T1", "42.5 (40.0 45.0)", "50.0 (50.0 50.0)"]

    def test_cost_as_ratio_to_the_plain_unet(self, findings):
        text = report.markdown_report(findings)
        text = text[text.index("## Cost") :]
        assert cells(text, PLAIN)[2:4] == ["0.500", "1.00"]
        assert cells(text, "ours")[1:] == ["1.00 M", "1.000", "2.00", "1.000", "2.00", "100", "2.00"]

    def test_completed_images_against_the_training_mean(self, findings):
        text = report.markdown_report(findings)
        text = text[text.index("## Completed") :]
        assert cells(text, "ours") == ["ours", "T1", "22.50", "20.00", "+2.50", "0.600", "0.500", "+0.100", "2"]

    def test_images_scored_without_ssim_keep_their_psnr(self, findings):
        rows = [{key: row[key] for key in row if not key.startswith("ssim")} for row in findings.completion]
        text = report.markdown_report(dataclasses.replace(findings, completion=rows))
        text = text[text.index("## Completed") :]
        assert cells(text, "ours") == ["ours", "T1", "22.50", "20.00", "+2.50", "–", "–", "–", "2"]

    def test_differences_to_the_reference_paired_by_case(self, findings):
        text = report.markdown_report(findings)
        text = text[text.index("difference to dropout") :]
        line = cells(text, "ours")
        assert line[:2] == ["ours", "all subsets"] and line[-1] == "1"

    def test_notes(self, findings):
        assert report.markdown_report(findings).endswith("* A note.\n")


class TestFiles:
    def test_each_call_has_a_folder_of_its_own(self, tmp_path):
        folders = {report.new_folder(tmp_path / "results") for _ in range(3)}
        assert len(folders) == 3 and all(folder.is_dir() for folder in folders)

    def test_content(self, findings, tmp_path):
        text = report.write_report(tmp_path, findings, {"steps": 10})
        assert (tmp_path / "table.md").read_text(encoding="utf-8") == text
        with (tmp_path / "scores.csv").open(encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if (row["row"], row["region"]) == ("T1", "whole")]
        found = [(row["method"], row["fold"], row["cases"], float(row["dice"])) for row in rows]
        assert found == [
            ("ours", "0", "2", pytest.approx(0.3)),
            ("ours", "1", "1", 0.5),
            ("dropout", "0", "1", 0.5),
        ]
        with (tmp_path / "means.csv").open(encoding="utf-8") as stream:
            entry = next(row for row in csv.DictReader(stream) if (row["row"], row["region"]) == ("T1", "whole"))
        assert (entry["method"], entry["score"], entry["runs"]) == ("ours", "dice", "2")
        assert float(entry["mean"]) == pytest.approx(0.4)

    def test_csv_files_are_never_overwritten(self, findings, tmp_path):
        report.write_report(tmp_path, findings, {})
        before = (tmp_path / "scores.csv").read_bytes()
        with pytest.raises(FileExistsError):
            report.write_report(tmp_path, findings, {})
        assert (tmp_path / "scores.csv").read_bytes() == before
