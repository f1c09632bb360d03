"""What a reader of a comparison is told."""

from __future__ import annotations

from helpers.results.invented_evaluation import random_scores

from nnunet_hetero.evaluation.compare.comparison import compare_runs
from nnunet_hetero.evaluation.compare.notes import how_tested, notes_on


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
