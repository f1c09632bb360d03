"""The table of an evaluation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from helpers.results.two_modalities import MODALITIES, row, small_summary

from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.evaluation.sweep.table import markdown_table, notes


@pytest.fixture
def summary():
    return small_summary()


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

    def test_region_that_is_never_there(self):
        table = markdown_table(summarise([row("a", "T1", "core", math.nan)], MODALITIES, ["core"]))
        assert "–" in table and "nan" not in table.split("Dice in %")[0]
        assert "'core' is empty in the truth and the prediction of every case: it has no Dice." in table

    def test_other_scores(self):
        rows = [row("a", "T1", "core", 1.0, hd95=6.0, volume_error_ml=0.25)]
        lines = markdown_table(summarise(rows, MODALITIES, ["core"], list(rows[0])[4:])).splitlines()
        assert "| mean of all        | core | mean |" in lines
        assert "| HD95 in mm         |  6.0 |  6.0 |" in lines
        assert "| Volume error in ml |  0.2 |  0.2 |" in lines
