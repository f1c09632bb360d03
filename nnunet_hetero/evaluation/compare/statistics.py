"""Statistics of paired differences: signed-rank test, Holm's correction, effect size, bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05
"""Significance level, and 1 minus the confidence of intervals."""

RESAMPLES = 9999

ALL_SIGNS = 13
"""Differences up to which the signed-rank test goes through all 2^n signs."""


@dataclass(frozen=True)
class PairedResult:
    """A method compared with the reference on the same cases; differences are method minus reference.

    Args:
        pairs: Cases where both have a value.
        difference: Mean of the differences; None without pairs.
        interval: Bootstrap interval of that mean, 95 %, None with fewer than two pairs.
        p: Two-sided p of the signed-rank test, None with fewer than two pairs.
        effect: Matched-pairs rank-biserial correlation, -1 to 1; None with fewer than two pairs.
        p_holm: p after Holm's correction; None as long as it has not been done, see `with_holm`.
    """

    pairs: int
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    effect: float | None = None
    p_holm: float | None = None

    @property
    def significant(self) -> bool:
        """Whether the corrected p is below `LEVEL`."""
        return self.p_holm is not None and self.p_holm < LEVEL


def known_mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean of what is not NaN; NaN where there is nothing else.

    Examples:
        >>> known_mean(np.array([1.0, np.nan, 3.0])).item()
        2.0
    """
    known = ~np.isnan(values)
    number = known.sum(axis=axis)
    return np.where(number > 0, np.where(known, values, 0).sum(axis=axis) / np.maximum(number, 1), np.nan)


def compare_paired(method: np.ndarray, reference: np.ndarray, seed: int = 0) -> PairedResult:
    """Compare the values of the same cases.

    Args:
        method: A value per case, NaN where there is none.
        reference: The same of the other method.
        seed: Of the bootstrap.

    Examples:
        >>> found = compare_paired(np.array([0.9, 0.8, np.nan]), np.array([0.7, 0.8, 0.5]))
        >>> found.pairs, round(found.difference, 3), found.p
        (2, 0.1, 1.0)
    """
    differences = (method - reference)[~(np.isnan(method) | np.isnan(reference))]
    if not differences.size:
        return PairedResult(0)
    mean = float(differences.mean())
    if differences.size == 1:
        return PairedResult(1, mean)
    return PairedResult(
        differences.size,
        mean,
        bootstrap_interval(differences, seed),
        signed_rank_p(differences),
        rank_biserial(differences),
    )


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; zero differences are dropped, and if all are zero p is 1.

    Up to `ALL_SIGNS` differences all signs are counted, so p is exact with ties too. For more see
    `scipy.stats.wilcoxon`: exact up to 50 differences without ties, by the normal distribution otherwise.

    Examples:
        >>> signed_rank_p(np.array([1.0, 2.0, 3.0, 4.0]))  # 2 of 16 signs are as extreme
        0.125
    """
    differences = differences[differences != 0]
    if differences.size < 2:
        return 1.0
    if differences.size > ALL_SIGNS:
        return float(stats.wilcoxon(differences).pvalue)
    # scipy's wilcoxon is as exact with ties, but takes seconds.
    signed_ranks = np.sign(differences) * stats.rankdata(np.abs(differences))
    test = stats.permutation_test(
        (signed_ranks,), np.sum, permutation_type="samples", vectorized=True, n_resamples=2**ALL_SIGNS
    )
    return float(test.pvalue)


def rank_biserial(differences: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation: (W+ - W-) / (W+ + W-), with the rank sums of the signed-rank test.

    1 if every case is larger with the method, -1 if every case is smaller, 0 if they balance or all are zero.
    Source: D. S. Kerby, The simple difference formula, Comprehensive Psychology 3, 2014.

    Examples:
        >>> rank_biserial(np.array([-1.0, 2.0, 3.0]))  # ranks 2 + 3 against 1, of 6
        0.6666666666666666
    """
    differences = differences[differences != 0]
    if not differences.size:
        return 0.0
    ranks = stats.rankdata(np.abs(differences))
    return float((np.sign(differences) * ranks).sum() / ranks.sum())


def bootstrap_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Bias-corrected and accelerated (BCa) bootstrap interval of the mean, 95 %, from `RESAMPLES` resamples of cases.

    Differences that are all the same give that value twice.
    """
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    interval = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=1 - LEVEL,
        method="BCa",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values of one family after Holm's step-down correction, in the order given.

    The i-th smallest of n is multiplied by n - i + 1, is at least its predecessor, and at most 1. Source: S. Holm, A
    simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.

    Examples:
        >>> holm([0.03, 0.01, 0.02])
        [0.04, 0.03, 0.04]
    """
    values = np.asarray(p_values, float)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(values[order] * factors).clip(max=1)
    return corrected.tolist()


def smallest_p(pairs: int) -> float:
    """The smallest two-sided p that the exact signed-rank test of so many pairs can give: 2 / 2^n.

    Examples:
        >>> smallest_p(6)
        0.03125
    """
    return min(2.0 ** (1 - pairs), 1.0)
