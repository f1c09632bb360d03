"""Conformal prediction intervals: split conformal, and CV+ over the folds of a cross-validation.

Of n patients that a model has not seen, each has a score s_i = |y_i - ŷ_i| / w_i: how far the truth was from the
prediction, in units of a width w_i that the model states itself. For a new patient with prediction ŷ and width w,

    [ the ⌊α(n+1)⌋-th smallest of ŷ - s_i w,  the ⌈(1-α)(n+1)⌉-th smallest of ŷ + s_i w ].

With one model these are the limits of split conformal prediction, which hold the truth with a probability of at least
1 - α if the patients are exchangeable (Lei et al., "Distribution-free predictive inference for regression", JASA 2018).
In CV+ ŷ and w are those of the model of the fold that had not seen patient i (Barber, Candès, Ramdas, Tibshirani,
"Predictive inference with the jackknife+", Annals of Statistics 2021, section 4); the probability is at least
1 - 2α - min{2(1-1/K) / (n/K+1), (1-K/n) / (K+1)} for K folds, and in practice near 1 - α.
"""

from __future__ import annotations

import math

import numpy as np

from nnunet_hetero.errors import SettingsError

_ROUNDING = 9  # decimals; 0.9 * (9 + 1) must not come out above 9

HIGHEST_LEVEL = 0.999999
"""Needs a million patients. Tables and messages show six digits: what is above could be shown as certain, 100 %."""


def require_level(level: float) -> float:
    """A level of intervals as it was given.

    Raises:
        SettingsError: If it is not between 0 and 1, or above `HIGHEST_LEVEL`.
    """
    if not 0 < level < 1:
        raise SettingsError(f"--level is {level}; it must be greater than 0 and less than 1, e.g. 0.9.")
    if level > HIGHEST_LEVEL:
        raise SettingsError(
            f"--level is {level}; it must be at most {HIGHEST_LEVEL}, which needs {patients_needed(HIGHEST_LEVEL)} "
            "patients, e.g. 0.9."
        )
    return level


def rank_of(level: float, patients: int) -> int:
    """Which of the scores, from the smallest, is the quantile: ⌈(1-α)(n+1)⌉, at least 1; beyond n there is none.

    Args:
        level: 1 - α.
        patients: n.

    Examples:
        >>> rank_of(0.9, 9), rank_of(0.9, 8), rank_of(0.9, 30)
        (9, 9, 28)
    """
    return max(1, math.ceil(round(level * (patients + 1), _ROUNDING)))


def patients_needed(level: float) -> int:
    """How many there must be at least for an interval of a level, ⌈1/α⌉ - 1, at least 1.

    Examples:
        >>> patients_needed(0.9), patients_needed(0.95)
        (9, 19)
    """
    return max(1, math.ceil(round(1 / (1 - level), _ROUNDING)) - 1)


def interval(
    scores: np.ndarray, predictions: np.ndarray, widths: np.ndarray, level: float
) -> tuple[float, float] | None:
    """The interval of a new patient.

    Args:
        scores: Of the patients of the calibration, ``(n,)``.
        predictions: For each of them, what the model that has not seen it predicts of the new patient, ``(n,)``.
        widths: For each of them, the width that this model states for the new patient, ``(n,)``.
        level: 1 - α.

    Returns:
        Lower and upper limit; None if there are too few patients, see `patients_needed`.

    Examples:
        >>> interval(np.arange(1.0, 10.0), np.full(9, 5.0), np.full(9, 0.1), 0.9)
        (4.1, 5.9)
    """
    rank = rank_of(level, len(scores))
    if rank > len(scores):
        return None
    half = np.asarray(scores) * widths
    lower = np.sort(predictions - half)[len(scores) - rank]
    upper = np.sort(predictions + half)[rank - 1]
    return float(lower), float(upper)
