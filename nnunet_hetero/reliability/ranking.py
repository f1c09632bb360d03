"""How well a number tells good segmentations from bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr


class RiskCoverage(NamedTuple):
    """The mean risk among the cases that are kept when the least trusted ones are set aside, one by one.

    Attributes:
        coverage: Share of cases kept, ascending, ``(n,)``.
        risk: Their mean risk, 1 - Dice, ``(n,)``.
    """

    coverage: np.ndarray
    risk: np.ndarray

    @property
    def area(self) -> float:
        """AURC: the mean of the risk over all coverages (Geifman & El-Yaniv, "Selective classification for deep neural
        networks", NeurIPS 2017)."""
        return float(self.risk.mean())


def risk_coverage(predicted: Sequence[float], true: Sequence[float]) -> RiskCoverage:
    """The risk-coverage curve of a predicted Dice; cases with equal predictions are kept in the order of the worse.

    Args:
        predicted: Dice that was predicted of each case, ``(n,)``.
        true: Its Dice, ``(n,)``.

    Examples:
        >>> risk_coverage([0.9, 0.2], [0.8, 0.4]).risk.round(3).tolist()
        [0.2, 0.4]
    """
    truth = np.asarray(true, dtype=float)
    order = np.lexsort((truth, -np.asarray(predicted, dtype=float)))
    number = np.arange(1, len(truth) + 1)
    return RiskCoverage(number / len(truth), np.cumsum(1 - truth[order]) / number)


def rank_correlation(predicted: Sequence[float], true: Sequence[float]) -> float | None:
    """Spearman's correlation; None if there are fewer than three cases, or one of the two does not vary.

    Args:
        predicted: ``(n,)``.
        true: ``(n,)``.
    """
    if len(true) < 3 or np.ptp(predicted) == 0 or np.ptp(true) == 0:
        return None
    return float(spearmanr(predicted, true).statistic)
