"""A row of series.csv."""

from __future__ import annotations

from nnunet_hetero.intake.series import Series, by_case


def test_parts_of_a_source():
    row = Series("a", "a/b c#1.2", "T1", "sure", "")
    assert (row.place, row.inner, row.is_used) == ("a/b c", "1.2", True)
    row = Series("a", "a/t1.nii.gz", "", "sure", "")
    assert (row.place, row.inner, row.is_used) == ("a/t1.nii.gz", "", False)


def test_by_case():
    rows = [Series(case, f"{case}/{number}", "", "sure", "") for case, number in (("b", 1), ("a", 2), ("b", 3))]
    assert by_case(rows) == {"b": [rows[0], rows[2]], "a": [rows[1]]}
