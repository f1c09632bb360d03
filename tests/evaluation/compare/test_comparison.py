"""Comparing evaluations: the numbers, what is refused, and what is said."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.invented_evaluation import BRATS, random_scores, write_evaluation
from scipy import stats

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.compare.comparison import compare_runs
from nnunet_hetero.evaluation.compare.notes import how_tested, notes_on
from nnunet_hetero.evaluation.compare.statistics import holm
from nnunet_hetero.evaluation.sweep.run import read_run


@pytest.fixture
def make(tmp_path):
    """Write an evaluation and read it back under a name."""

    def run(name, score=None, **options):
        return read_run(write_evaluation(tmp_path / name, score or random_scores(len(name)), **options), name)

    return run


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


class TestSaid:
    def test_one_case_is_no_test(self, make):
        compared = compare_runs([make("ours", cases=1), make("theirs", cases=1)])
        assert any("only one case (case_00): no standard deviation and no test" in note for note in notes_on(compared))
        assert "Wilcoxon" not in how_tested(compared)
        cells = [cell for row in compared.rows for cells in row.cells.values() for cell in cells]
        assert all(cell.sd is None and (cell.result is None or cell.result.p is None) for cell in cells)

    def test_region_that_is_empty_in_every_case(self, make):
        def score(case, subset, region):
            return None if region == "enhancing_tumor" else 0.5 + case / 100

        compared = compare_runs([make("ours", score), make("theirs", score)])
        assert any(note.startswith("enhancing_tumor: no value in any case") for note in notes_on(compared))
        assert all(cell.mean is None for row in compared.rows for cell in row.cells["enhancing_tumor"])
        # All differences are zero: p is 1, no error.
        assert compared.rows[0].cells["tumor_core"][1].result.p == 1

    def test_subset_without_results_is_left_out(self, make):
        compared = compare_runs([make("ours"), make("single", subsets=[(0,), (0, 1), (0, 1, 2, 3)])])
        assert [row.label for row in compared.rows if not row.is_mean] == ["T1", "T1+T1c", "T1+T1c+T2+FLAIR"]
        (note,) = [note for note in notes_on(compared) if note.startswith("Left out")]
        assert "single has no results there: T1c, T2, FLAIR, T1+T2" in note

    def test_values_without_a_partner(self, make):
        def theirs(case, subset, region):
            return None if case == 0 and region == "tumor_core" else 0.5 + case / 100

        compared = compare_runs([make("ours"), make("theirs", theirs)])
        assert any(note.startswith("15 value(s) of ours or theirs have no partner") for note in notes_on(compared))
        assert compared.rows[0].cells["tumor_core"][1].result.pairs == 5

    def test_too_few_cases_for_a_star(self, make):
        compared = compare_runs([make("ours", random_scores(1, 0.3)), make("theirs")])
        assert not any(cell.result.significant for row in compared.rows for _, cell in row.cells.values())
        notes = notes_on(compared)
        # 45 × 2^(1 - n) < 0.05 from n = 11 on, 12 × 2^(1 - n) from n = 9.
        assert any("6 cases are too few for a star in the subsets" in note and "11 cases" in note for note in notes)
        assert any("mean rows" in note and "9 cases" in note for note in notes)

    def test_enough_cases_for_stars(self, make):
        compared = compare_runs([make("ours", random_scores(1, 0.3), cases=12), make("theirs", cases=12)])
        assert all(cell.result.significant for row in compared.rows for _, cell in row.cells.values())
        assert notes_on(compared) == []

    def test_other_settings(self, make):
        notes = notes_on(compare_runs([make("ours", mirroring=True), make("theirs", mirroring=False, trainer="B")]))
        assert "The evaluations differ in mirroring: True for ours, False for theirs." in notes
        assert not any("model" in note for note in notes)


def test_repeatable(make):
    runs = [make("ours"), make("theirs")]
    one, two = (compare_runs(runs).rows[3].cells["tumor_core"][1].result.interval for _ in range(2))
    assert one == two and np.isfinite(one).all()
