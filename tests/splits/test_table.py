"""The table of folds, and modalities that a fold never sees."""

from __future__ import annotations

from nnunet_hetero.splits.cohort import CohortCase
from nnunet_hetero.splits.schemes import Fold
from nnunet_hetero.splits.table import describe_folds, unsupervised_modalities

COHORT = [
    CohortCase("a", "p1", "Ulm", "HGG", ()),
    CohortCase("b", "p1", "Ulm", "HGG", ("T1c",)),
    CohortCase("c", "p2", "Bonn", "LGG", ("T1c", "T2")),
]


def test_a_row_for_every_attribute():
    lines = describe_folds([Fold(["a", "b"], ["c"], []), Fold(["c"], ["a", "b"], [])], COHORT).splitlines()
    cells = {tuple(line.split("  ")[0].split()): line.split()[-3:] for line in lines[1:-1]}
    assert lines[0].split() == ["all", "fold", "0", "fold", "1"]
    assert cells["cases",] == ["3", "2/1", "1/2"] and cells["patients",] == ["2", "1/1", "1/1"]
    assert cells["site", "Ulm"] == ["2", "2/0", "0/2"] and cells["grade", "LGG"] == ["1", "0/1", "1/0"]
    assert cells["without", "T1c"] == ["2", "1/1", "1/1"]
    assert lines[-1] == "Each fold: training/validation."


def test_a_column_for_test_cases_where_there_are_some():
    lines = describe_folds([Fold(["a"], ["b"], ["c"])], COHORT).splitlines()
    assert lines[1].split() == ["cases", "3", "1/1/1"] and lines[-1].endswith("validation/test.")


def test_modalities_that_no_training_case_of_a_fold_has():
    folds = [Fold(["a"], [], []), Fold(["b", "c"], [], []), Fold(["c"], [], [])]
    notes = unsupervised_modalities(folds, COHORT, ("T1", "T1c", "T2"))
    assert [note.split(";")[0] for note in notes] == [
        "fold 1 trains on no case with T1c",
        "fold 2 trains on no case with T1c",
        "fold 2 trains on no case with T2",
    ]
