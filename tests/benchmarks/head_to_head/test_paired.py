"""Paired differences by hand: seeds and subsets are averaged within a case, then cases are compared."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from head_to_head.paired import MEAN, CaseScores, larger_is_worse, paired_differences
from head_to_head.scores import ALL, ScoredRun

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.evaluation.sweep.run import Run
from nnunet_hetero.modalities import Modalities

SUBSETS = ((0,), (1,), (0, 1))
REGIONS = ("whole", "core")


def run_of(values, cases) -> Run:
    """An evaluation of two modalities; values (subsets, cases, regions)."""
    values = np.asarray(values, float)
    modalities = Modalities(("T1", "T2"))
    measured = np.ones(values.shape[:2], bool)
    summary = summarise([], modalities, REGIONS)
    return Run("x", Path("x"), summary, {}, modalities, REGIONS, SUBSETS, tuple(cases), {"dice": values}, measured)


def scores(*runs: Run) -> CaseScores:
    return CaseScores([ScoredRun("m", seed, 0, run) for seed, run in enumerate(runs)], "dice")


def constant(value: float, cases=("a", "b", "c")) -> Run:
    return run_of(np.full((3, len(cases), 2), value), cases)


class TestCaseScores:
    def test_seeds_are_averaged_within_a_case(self):
        found = scores(constant(0.2), constant(0.6))
        assert found.values["a"] == pytest.approx(np.full((3, 2), 0.4))

    def test_folds_bring_their_own_cases(self):
        found = scores(constant(0.2, "ab"), constant(0.6, "c"))
        assert list(found.values) == ["a", "b", "c"]

    def test_groups(self):
        found = scores(run_of([[[0.2, 0.4]], [[0.4, math.nan]], [[0.9, 0.7]]], "a"))
        assert found.of_group(["a"], 1)[0] == pytest.approx([0.3, 0.4, 0.35])
        assert found.of_group(["a"], None)[0] == pytest.approx([0.5, 0.55, 0.525])

    def test_other_subsets_are_refused(self):
        other = run_of(np.zeros((3, 1, 2)), "a")
        object.__setattr__(other, "subsets", ((0,), (1,), (0, 2)))
        with pytest.raises(DataError, match="differ in subsets"):
            scores(constant(0.5), other)


class TestDifferences:
    def test_by_row_and_region(self):
        better = np.full((3, 3, 2), 0.5)
        better[2, :, 1] = [0.6, 0.7, 0.8]  # both modalities, the core
        found = paired_differences(scores(run_of(better, "abc")), scores(constant(0.5)))
        assert found["2 modalities", "core"].difference == pytest.approx(0.2)
        assert found["2 modalities", MEAN].difference == pytest.approx(0.1)
        assert found["1 modality", "core"].difference == pytest.approx(0)
        assert found[ALL, "core"].difference == pytest.approx(0.2 / 3)
        assert found[ALL, "core"].p == pytest.approx(0.25)  # three cases, all the same way: 2 of 8 signs

    def test_only_cases_of_both_count(self):
        found = paired_differences(scores(constant(0.7, "abc")), scores(constant(0.5, "bcd")))
        assert found[ALL, MEAN].pairs == 2

    def test_without_a_common_case(self):
        with pytest.raises(DataError, match="no case"):
            paired_differences(scores(constant(0.7, "a")), scores(constant(0.5, "b")))


class TestLargerIsWorse:
    def test_share_of_nested_pairs(self):
        # Case a: T1 0.5 is better than both 0.4; T2 0.3 is not. Case b: neither is better.
        values = [[[0.5, 0.5], [0.1, 0.1]], [[0.3, 0.3], [0.2, 0.2]], [[0.4, 0.4], [0.9, 0.9]]]
        assert larger_is_worse(scores(run_of(values, "ab"))) == pytest.approx(1 / 4)
        assert larger_is_worse(scores(run_of(values, "ab")), higher_is_better=False) == pytest.approx(3 / 4)

    def test_equal_is_not_worse(self):
        assert larger_is_worse(scores(constant(0.5))) == 0
