"""Comparing evaluations: the numbers, what is refused, and what is said."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.results.invented_evaluation import BRATS, random_scores
from scipy import stats

from nnunet_hetero.evaluation.compare.comparison import compare_runs
from nnunet_hetero.evaluation.compare.notes import how_tested
from nnunet_hetero.evaluation.compare.statistics import holm


class TestNumbers:
    @pytest.fixture
    def compared(self, make):
        return compare_runs([make("ours", cases=12), make("theirs", random_scores(9, -0.04), cases=12)])

    def test_a_row_per_subset_then_means(self, compared):
        labels = [row.label for row in compared.rows]
        assert labels[:5] == ["T1", "T1c", "T2", "FLAIR", "T1+T1c"] and labels[14] == "+".join(BRATS)
        assert labels[15:] == ["mean, 1 modality", "mean, 2 modalities", "mean, 3 modalities", "mean of all"]
        assert [row.is_mean for row in compared.rows] == [False] * 15 + [True] * 4

    def test_cell_against_scipy(self, compared):
        ours, theirs = (run.scores["dice"][6, :, 1] for run in compared.runs)
        reference, cell = compared.rows[6].cells["tumor_core"]
        assert (reference.mean, reference.sd) == pytest.approx((ours.mean(), ours.std(ddof=1)))
        assert reference.result is None and cell.cases == 12
        assert cell.result.p == stats.wilcoxon(theirs - ours).pvalue
        assert cell.result.difference == pytest.approx((theirs - ours).mean())
        assert cell.result.interval[0] < cell.result.difference < cell.result.interval[1]

    def test_holm_over_the_subsets_and_apart_over_the_means(self, compared):
        for rows, number in ((compared.rows[:15], 45), (compared.rows[15:], 12)):
            results = [cells[1].result for row in rows for cells in row.cells.values()]
            assert len(results) == number
            assert [result.p_holm for result in results] == pytest.approx(holm([result.p for result in results]))
        assert "45 tests" in how_tested(compared) and "12 tests" in how_tested(compared)

    def test_mean_row_tests_the_means_of_cases(self, compared):
        ours, theirs = (run.scores["dice"][:, :, 0].mean(axis=0) for run in compared.runs)
        reference, cell = compared.rows[-1].cells["whole_tumor"]
        assert reference.mean == pytest.approx(ours.mean())
        assert cell.result.p == stats.wilcoxon(theirs - ours).pvalue

    def test_mean_row_uses_the_subsets_where_both_have_a_value(self, make):
        def ours(case, subset, region):
            return None if subset == (0,) and case % 2 else 0.5 + 0.1 * len(subset)

        def theirs(case, subset, region):
            return 0.5 + 0.1 * len(subset) + 0.01

        compared = compare_runs([make("ours", ours), make("theirs", theirs)])
        assert compared.rows[-1].cells["whole_tumor"][1].result.difference == pytest.approx(0.01)

    def test_three_methods_are_one_family(self, make):
        compared = compare_runs([make("a", cases=12), make("bb", cases=12), make("ccc", cases=12)])
        assert "the 90 tests of this table (subsets × regions × methods)" in how_tested(compared)

    def test_other_order_of_modalities_and_regions(self, make):
        def score(case, subset, region):
            return case / 20 + sum({"T1": 0.1, "T2": 0.2, "CT": 0.4}[name] for name in subset) + len(region) / 100

        def with_names(names):
            return lambda case, subset, region: score(case, [names[channel] for channel in subset], region)

        one, two = ("T1", "T2", "CT"), ("CT", "T1", "T2")
        compared = compare_runs(
            [
                make("one", with_names(one), modalities=one, regions=["core", "whole"]),
                make("two", with_names(two), modalities=two, regions=["whole", "core"]),
            ]
        )
        assert compared.regions == ("core", "whole")
        for row in compared.rows:
            for cells in row.cells.values():
                assert cells[1].result.difference == pytest.approx(0, abs=1e-12)

    def test_lower_is_better(self, make):
        compared = compare_runs([make("ours"), make("theirs")], "hd95")
        assert how_tested(compared).startswith("HD95 in mm") and "lower is better" in how_tested(compared)


def test_repeatable(make):
    runs = [make("ours"), make("theirs")]
    one, two = (compare_runs(runs).rows[3].cells["tumor_core"][1].result.interval for _ in range(2))
    assert one == two and np.isfinite(one).all()
