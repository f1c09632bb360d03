"""Temperature scaling of a region's probability, p → σ(logit(p) / T) (Guo et al., "On calibration of modern neural
networks", ICML 2017): one number, which cannot move a probability across 0.5.

It is fitted on counts of voxels by logit and truth, so no voxel has to be kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logit

LIMIT = 12.0
"""Largest absolute logit that is told apart; beyond it a probability is 0 or 1 to five decimals."""

BINS = 120
CENTRES = (np.arange(BINS) + 0.5) * (2 * LIMIT / BINS) - LIMIT
"""Logits of the bins, ``(BINS,)``."""

RANGE = (0.05, 20.0)
"""Temperatures that are looked through."""

SHRINKAGE = 10.0
"""How many patients the temperature of all subsets counts for in that of one."""


def scaled(probability: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """The probability at another temperature, same shape; 0.5 stays 0.5.

    Examples:
        >>> scaled(np.array([0.5, 0.9]), 2.0)
        array([0.5 , 0.75])
    """
    return expit(logit(np.clip(probability, 1e-7, 1 - 1e-7)) / temperature)


def voxel_counts(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Voxels by truth and logit, ``(2, BINS)`` int: outside and inside the region.

    Args:
        probability: ``(n,)``, 0 to 1.
        truth: ``(n,)`` bool.
    """
    logits = logit(np.clip(probability, 1e-7, 1 - 1e-7))
    place = np.clip(((logits + LIMIT) * (BINS / (2 * LIMIT))).astype(int), 0, BINS - 1)
    counts = [np.bincount(place[truth == inside], minlength=BINS) for inside in (False, True)]
    return np.stack(counts)


def loss(counts: np.ndarray, temperature: float) -> float:
    """Mean negative log-likelihood of voxels, in nats.

    Args:
        counts: ``(2, BINS)``, weights of the voxels.
        temperature: T.
    """
    scaled_logits = CENTRES / temperature
    total = -(counts[0] * log_expit(-scaled_logits) + counts[1] * log_expit(scaled_logits)).sum()
    return float(total / counts.sum())


def fitted_temperature(cases: Sequence[np.ndarray]) -> float:
    """The temperature of least negative log-likelihood, each case with equal weight; 1 without a voxel.

    Args:
        cases: `voxel_counts` of each case.
    """
    weights = [counts / counts.sum() for counts in cases if counts.sum()]
    if not weights:
        return 1.0
    total = np.sum(weights, axis=0)
    found = minimize_scalar(lambda log: loss(total, float(np.exp(log))), bounds=tuple(np.log(RANGE)), method="bounded")
    return float(np.exp(found.x))


def shrunk(own: float, of_all: float, patients: int) -> float:
    """The temperature of one subset, nearer to that of all subsets the fewer patients there are.

    Args:
        own: Fitted on the subset.
        of_all: Fitted on all subsets.
        patients: Of the subset.
    """
    share = patients / (patients + SHRINKAGE)
    return float(np.exp(share * np.log(own) + (1 - share) * np.log(of_all)))


def calibration_error(counts: np.ndarray, temperature: float = 1.0, bins: int = 10) -> float:
    """Expected calibration error, 0 to 1: the mean distance of probability and share inside, over bins of probability.

    Args:
        counts: ``(2, BINS)``, see `voxel_counts`.
        temperature: T.
        bins: Number of bins of equal width.
    """
    count, probability, inside = reliability(counts, temperature, bins)
    return float(np.abs(inside - probability).sum() / max(count.sum(), 1))


def reliability(counts: np.ndarray, temperature: float = 1.0, bins: int = 10) -> tuple[np.ndarray, ...]:
    """Voxels, the sum of their probabilities and those inside, by bin of probability, each ``(bins,)``.

    Args:
        counts: ``(2, BINS)``, see `voxel_counts`.
        temperature: T.
        bins: Number of bins of equal width.
    """
    probability = expit(CENTRES / temperature)
    place = np.minimum((probability * bins).astype(int), bins - 1)
    voxels = counts.sum(axis=0)
    weights = (voxels, voxels * probability, counts[1])
    return tuple(np.bincount(place, weight, bins) for weight in weights)
