"""The worst, median and best case of every subset."""

from __future__ import annotations

import json

import pytest
from helpers.results.invented_evaluation import additive, write_additive, write_evaluation

from nnunet_hetero.evaluation.report.ranked_cases import ranked_overlays, region_labels
from nnunet_hetero.evaluation.sweep.run import read_run


@pytest.fixture
def folder(tmp_path):
    return write_additive(tmp_path)


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
