"""Evaluations that cannot be compared."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.compare.comparison import compare_runs
from nnunet_hetero.evaluation.sweep.run import read_run


class TestRefused:
    def test_other_cases(self, make):
        with pytest.raises(DataError, match=r"cannot be compared(.|\n)*cases only in theirs: case_06, case_07"):
            compare_runs([make("ours"), make("theirs", cases=8)])

    def test_other_cases_in_one_subset(self, make):
        theirs = make("theirs")
        table = theirs.folder / "metrics.csv"
        lines = [line for line in table.read_text().splitlines() if not line.startswith("case_02,T1+T2,")]
        table.write_text("\n".join(lines) + "\n")
        with pytest.raises(DataError, match=r"T1\+T2, cases only in ours: case_02\n"):
            compare_runs([make("ours"), read_run(theirs.folder, "theirs")])

    def test_all_differences_are_listed(self, make):
        other = make("theirs", modalities=("T1", "T2"), regions=["whole_tumor"], folds=("1",))
        with pytest.raises(DataError) as caught:
            compare_runs([make("ours"), other])
        message = str(caught.value)
        assert "modalities: flair, t1, t1c, t2 | t1, t2" in message
        assert "regions: enhancing_tumor, tumor_core, whole_tumor | whole_tumor" in message
        assert "folds: 0 | 1" in message

    def test_regions_of_other_labels(self, make):
        ours, theirs = make("ours"), make("theirs")
        theirs.summary.labels["tumor_core"] = [1, 3]
        with pytest.raises(DataError, match="labels of the regions"):
            compare_runs([ours, theirs])

    def test_no_subset_in_common(self, make):
        with pytest.raises(DataError, match=r"no subset in common(.|\n)*ours: T1\n  theirs: T2"):
            compare_runs([make("ours", subsets=[(0,)]), make("theirs", subsets=[(2,)])])

    def test_one_run_equal_names_unknown_score(self, make):
        with pytest.raises(SettingsError, match="at least two"):
            compare_runs([make("ours")])
        with pytest.raises(SettingsError, match="same name: ours, ours"):
            compare_runs([make("ours"), make("ours")])
        with pytest.raises(SettingsError, match="has no nsd; it has: dice, hd95"):
            compare_runs([make("ours"), make("theirs")], "nsd")
