"""Means of the runs' scores: per subset, per number of modalities and over all, over seeds and folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.sweep.run import Run

ALL = "all subsets"


@dataclass(frozen=True)
class ScoredRun:
    """The evaluation of one training.

    Args:
        method: Name.
        seed: Of the training.
        fold: That was held out.
        run: The scores of its cases.
    """

    method: str
    seed: int
    fold: int
    run: Run


@dataclass(frozen=True)
class Mean:
    """A mean over runs.

    Args:
        value: The mean; NaN without a value.
        sd: Standard deviation over the runs (n - 1); NaN with fewer than two.
        runs: How many have a value.
    """

    value: float
    sd: float
    runs: int


def size_label(size: int) -> str:
    """E.g. ``2 modalities``."""
    return f"{size} {'modality' if size == 1 else 'modalities'}"


def means_of_run(run: Run, score: str) -> dict[tuple[str, str], float]:
    """Means over the cases by subset and region; from them those over subsets and over regions.

    Args:
        run: The scores of its cases.
        score: A column of ``metrics.csv``.

    Returns:
        By row (the subset, e.g. ``T1+FLAIR``; `size_label`; `ALL`) and column (the region, or ``mean`` over them).
    """
    means = _mean(run.values(score), axis=1)  # (subsets, regions)
    groups = {run.modalities.label(subset): [place] for place, subset in enumerate(run.subsets)}
    for size in sorted({len(subset) for subset in run.subsets}):
        groups[size_label(size)] = [place for place, subset in enumerate(run.subsets) if len(subset) == size]
    groups[ALL] = list(range(len(run.subsets)))
    found = {}
    for row, places in groups.items():
        by_region = _mean(means[places], axis=0)
        found |= {(row, region): float(value) for region, value in zip(run.regions, by_region, strict=True)}
        found[row, "mean"] = float(_mean(by_region, axis=0))
    return found


def means_of_method(scored: Sequence[ScoredRun], score: str) -> dict[tuple[str, str], Mean]:
    """Means and standard deviations over the runs of one method, keys as in `means_of_run`.

    Raises:
        DataError: If the runs differ in subsets or regions.
    """
    by_run = [means_of_run(entry.run, score) for entry in scored]
    first, *others = by_run
    for entry, means in zip(scored[1:], others, strict=True):
        if set(means) != set(first):
            raise DataError(f"{entry.run.folder} and {scored[0].run.folder} differ in subsets or regions.")
    return {key: mean_over_runs([means[key] for means in by_run]) for key in first}


def mean_over_runs(values: Sequence[float]) -> Mean:
    """Mean and standard deviation without NaN."""
    known = [value for value in values if not math.isnan(value)]
    return Mean(
        float(np.mean(known)) if known else math.nan,
        float(np.std(known, ddof=1)) if len(known) > 1 else math.nan,
        len(known),
    )


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    number = known.sum(axis=axis)
    return np.where(number > 0, np.where(known, values, 0).sum(axis=axis) / np.maximum(number, 1), np.nan)
