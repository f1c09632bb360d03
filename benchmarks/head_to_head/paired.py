"""Differences between methods, paired by case: means over subsets and seeds first, then statistics over the cases."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from head_to_head.scores import ALL, ScoredRun, size_label
from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.compare.statistics import PairedResult, compare_paired, known_mean

MEAN = "mean"


class CaseScores:
    """One method's score of every case, subset and region, the mean over its trainings.

    Args:
        scored: Its evaluations, at least one; a case of several seeds is in several of them.
        score: A column of ``metrics.csv``.

    Attributes:
        subsets: In the order of `values`.
        regions: In the order of `values`.
        values: By case ``(subsets, regions)``; NaN where there is no value.

    Raises:
        DataError: If the evaluations differ in subsets or regions.
    """

    def __init__(self, scored: Sequence[ScoredRun], score: str):
        first = scored[0].run
        self.subsets, self.regions = first.subsets, first.regions
        collected: dict[str, list[np.ndarray]] = {}
        for entry in scored:
            if (entry.run.subsets, entry.run.regions) != (first.subsets, first.regions):
                raise DataError(f"{entry.run.folder} and {first.folder} differ in subsets or regions.")
            values = entry.run.values(score)
            for place, case in enumerate(entry.run.cases):
                collected.setdefault(case, []).append(values[:, place])
        self.values = {case: known_mean(np.stack(found), axis=0) for case, found in collected.items()}

    def of_group(self, cases: Sequence[str], size: int | None) -> np.ndarray:
        """Per case the mean over the subsets of a size (None: all), ``(cases, regions + 1)``; the last over regions."""
        places = [place for place, subset in enumerate(self.subsets) if size in (None, len(subset))]
        by_region = known_mean(np.stack([self.values[case][places] for case in cases]), axis=1)
        return np.concatenate([by_region, known_mean(by_region, axis=1)[:, None]], axis=1)


def paired_differences(method: CaseScores, reference: CaseScores) -> dict[tuple[str, str], PairedResult]:
    """Method minus reference over the cases that both have, by row (`ALL`, `size_label`) and column (region, `MEAN`).

    Raises:
        DataError: If they share no case, or differ in subsets or regions.
    """
    cases = [case for case in method.values if case in reference.values]
    if not cases or (method.subsets, method.regions) != (reference.subsets, reference.regions):
        raise DataError("The two methods share no case, or were evaluated on other subsets or regions.")
    found = {}
    for size in (None, *sorted({len(subset) for subset in method.subsets})):
        row = ALL if size is None else size_label(size)
        ours, theirs = method.of_group(cases, size), reference.of_group(cases, size)
        for column, name in enumerate((*method.regions, MEAN)):
            found[row, name] = compare_paired(ours[:, column], theirs[:, column])
    return found


def larger_is_worse(scores: CaseScores, higher_is_better: bool = True) -> float:
    """Share of nested pairs of subsets, over all cases, of which the larger subset has the worse mean over regions.

    A pair is two subsets of which one holds the other, so that more images made the result worse. NaN without any.
    """
    pairs = [
        (small, large)
        for small, large in itertools.permutations(range(len(scores.subsets)), 2)
        if set(scores.subsets[small]) < set(scores.subsets[large])
    ]
    if not pairs:
        return float("nan")
    small, large = np.array(pairs).T
    means = np.stack([known_mean(values, axis=1) for values in scores.values.values()])  # (cases, subsets)
    gains = (means[:, large] - means[:, small]) * (1 if higher_is_better else -1)
    known = ~np.isnan(gains)
    return float((gains[known] < 0).mean()) if known.any() else float("nan")
