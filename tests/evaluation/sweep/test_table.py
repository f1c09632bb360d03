"""Means and the table of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.evaluation.sweep.summary import ScoreMeans
from nnunet_hetero.evaluation.sweep.table import markdown_table, notes
from nnunet_hetero.modalities import Modalities

MODALITIES = Modalities(("T1", "FLAIR"))


def row(case, subset, region, dice):
    return {"case": case, "subset": subset, "n_modalities": len(subset.split("+")), "region": region, "dice": dice}


@pytest.fixture
def summary():
    values = {"T1": (0.2, 0.4), "FLAIR": (0.6, math.nan), "T1+FLAIR": (0.8, 1.0)}
    rows = [
        row(case, subset, region, dice)
        for subset, both in values.items()
        for case, dice in zip("ab", both, strict=True)
        for region in ("core", "whole")
        if not (region == "whole" and case == "b")
    ]
    return summarise(rows, MODALITIES, ["whole", "core"])


class TestSummary:
    def test_means_leave_nan_out(self, summary):
        assert [(entry.subset, entry.available) for entry in summary.subsets] == [
            ("T1", (True, False)),
            ("FLAIR", (False, True)),
            ("T1+FLAIR", (True, True)),
        ]
        t1, flair, both = summary.subsets
        assert t1.dice == pytest.approx({"whole": 0.2, "core": 0.3})
        assert flair.dice == pytest.approx({"whole": 0.6, "core": 0.6})
        assert both.mean == pytest.approx(0.85)
        assert [entry.n_modalities for entry in summary.sizes] == [1, 2]
        assert summary.sizes[0].dice == pytest.approx({"whole": 0.4, "core": 0.45})
        assert summary.overall.dice == pytest.approx({"whole": 1.6 / 3, "core": 0.6})
        assert (summary.cases, both.cases) == (2, 2)

    def test_region_that_is_never_there(self):
        summary = summarise([row("a", "T1", "core", math.nan)], MODALITIES, ["core"])
        assert summary.subsets[0].dice == {"core": None}
        assert (summary.overall.dice, summary.overall.mean) == ({"core": None}, None)
        assert summary.empty_regions == ("core",)
        table = markdown_table(summary)
        assert "–" in table and "nan" not in table.split("Dice in %")[0]
        assert "'core' is empty in the truth and the prediction of every case: it has no Dice." in table

    def test_other_scores(self):
        rows = [
            row("a", "T1", "core", 0.5) | {"hd95": 4.0, "volume_error_ml": -1.0},
            row("b", "T1", "core", 1.0) | {"hd95": math.nan, "volume_error_ml": 2.0},
            row("a", "T1+FLAIR", "core", 1.0) | {"hd95": 8.0, "volume_error_ml": 0.0},
        ]
        summary = summarise(rows, MODALITIES, ["core"], ["dice", "hd95", "volume_error_ml"])
        first, both = summary.subsets
        assert first.scores["hd95"] == ScoreMeans({"core": 4.0}, 4.0)
        assert first.scores["volume_error_ml"].mean == 0.5
        assert both.scores["dice"].mean == both.mean == 1.0
        assert summary.overall.scores["hd95"].mean == 6.0
        lines = markdown_table(summary).splitlines()
        assert "| mean of all        | core | mean |" in lines
        assert "| HD95 in mm         |  6.0 |  6.0 |" in lines
        assert "| Volume error in ml |  0.2 |  0.2 |" in lines


class TestMarkdown:
    def test_table(self, summary):
        lines = markdown_table(summary).splitlines()
        assert lines[:5] == [
            "| T1                 | FLAIR | whole | core | mean | cases |",
            "| ------------------ | ----- | ----: | ---: | ---: | ----: |",
            "| ●                  | ○     |  20.0 | 30.0 | 25.0 |     2 |",
            "| ○                  | ●     |  60.0 | 60.0 | 60.0 |     2 |",
            "| ●                  | ●     |  80.0 | 90.0 | 85.0 |     2 |",
        ]
        assert lines[5].startswith("| mean, 1 modality ")
        assert lines[7] == "| mean of all        |       |  53.3 | 60.0 | 56.7 |       |"
        assert "left out of means" in lines[-1]

    def test_what_a_reader_must_know(self, summary):
        assert len(notes(summary)) == 1
        summary = replace(summary, cases=1, subsets_without_results=("T2", "T1+T2"), postprocessing="Removed.")
        _, one_case, absent, removed = notes(summary)
        assert one_case == "One case only: the means are this case's own figures."
        assert absent.endswith("T2, T1+T2.") and removed == "Removed."
