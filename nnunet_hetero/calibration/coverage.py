"""How often intervals hold the true size, checked on patients that took no part in making them.

With several folds, the patients of each are checked against intervals from those of the others. With one, each patient
is checked against intervals from all others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from nnunet_hetero.calibration.fit import score_of
from nnunet_hetero.calibration.records import Row
from nnunet_hetero.reliability.conformal import rank_of
from nnunet_hetero.reliability.volume_scale import stated_width

TOGETHER = "all regions at once"
"""Instead of a region."""


@dataclass(frozen=True)
class HeldOut:
    """Rows of one region and subset that are checked, and what they are checked against.

    Args:
        region: Name.
        subset: ``T1+FLAIR``.
        n_modalities: How many that are.
        calibration: Scores of the patients that make the intervals, ascending.
        scores: Of the rows that are checked.
        widths: The widths that the model states of these rows.
    """

    region: str
    subset: str
    n_modalities: int
    calibration: np.ndarray
    scores: np.ndarray
    widths: np.ndarray

    def inside(self, level: float) -> np.ndarray:
        """Whether the true size of each row lies in its interval; empty if there are too few patients for the level."""
        quantile = self._quantile(level)
        return np.zeros(0, bool) if quantile is None else self.scores <= quantile

    def log_widths(self, level: float) -> np.ndarray:
        """Logarithm of the upper limit over the lower, of each row; empty likewise."""
        quantile = self._quantile(level)
        return np.zeros(0) if quantile is None else 2 * quantile * self.widths

    def _quantile(self, level: float) -> float | None:
        rank = rank_of(level, len(self.calibration))
        return None if rank > len(self.calibration) else float(self.calibration[rank - 1])


@dataclass(frozen=True)
class Coverage:
    """Of some rows.

    Args:
        inside: How many true sizes lie in their intervals.
        checked: Of how many.
        log_width: Mean logarithm of upper limit over lower; NaN without rows.
    """

    inside: int
    checked: int
    log_width: float

    @property
    def share(self) -> float:
        """0 to 1; NaN without rows."""
        return self.inside / self.checked if self.checked else float("nan")


def held_out(rows: Sequence[Row], by_disagreement: bool, joint: bool = False) -> list[HeldOut]:
    """What is checked, by region, subset and part.

    Args:
        rows: Of a calibration.
        by_disagreement: Whether widths follow the disagreement.
        joint: Whether the intervals of all regions are to hold simultaneously. Then the region `TOGETHER` is checked
            too: whether all of a case do.
    """
    cells: dict[tuple[str, str], list[_Checked]] = {}
    of_cases: dict[tuple[str, str], _Checked] = {}
    for row in rows:
        width = float(stated_width(np.array([row["disagreement"]]), by_disagreement)[0])
        one = _Checked(row["patient"], row["n_modalities"], score_of(row, by_disagreement), width)
        cells.setdefault((row["region"], row["subset"]), []).append(one)
        key = row["case"], row["subset"]
        of_cases[key] = max(one, of_cases.get(key, one), key=attrgetter("score"))._replace(width=math.nan)
    if joint:
        for (_, subset), one in of_cases.items():
            cells.setdefault((TOGETHER, subset), []).append(one)
    found = []
    for checked in _parts(rows):
        for (region, subset), own in cells.items():
            largest: dict[str, float] = {}
            for one in cells[TOGETHER if joint else region, subset]:
                if one.patient not in checked:
                    largest[one.patient] = max(one.score, largest.get(one.patient, 0.0))
            tested = [(one.score, one.width) for one in own if one.patient in checked]
            scores, widths = np.array(tested, dtype=float).reshape(-1, 2).T
            calibration = np.sort(np.array(list(largest.values())))
            found.append(HeldOut(region, subset, own[0].n_modalities, calibration, scores, widths))
    return found


class _Checked(NamedTuple):
    """A region of a case, or all of them."""

    patient: str
    n_modalities: int
    score: float
    width: float


def _parts(rows: Sequence[Row]) -> Iterator[set[str]]:
    """The patients that are checked together."""
    folds: dict[str, set[str]] = {}
    for row in rows:
        folds.setdefault(row["fold"], set()).add(row["patient"])
    if len(folds) > 1:
        yield from folds.values()
        return
    for patient in sorted(next(iter(folds.values()), set())):
        yield {patient}


def coverage(found: Sequence[HeldOut], level: float) -> Coverage:
    """Over all rows of some cells.

    Args:
        found: See `held_out`.
        level: Of the intervals.
    """
    inside = np.concatenate([one.inside(level) for one in found]) if found else np.zeros(0, bool)
    widths = np.concatenate([one.log_widths(level) for one in found]) if found else np.zeros(0)
    return Coverage(int(inside.sum()), len(inside), float(widths.mean()) if len(widths) else float("nan"))


def draws_coverage(rows: Sequence[Row]) -> Coverage:
    """The same for the percentiles of single draws, which are no interval to rely on."""
    sizes = np.array([(row["draws_low"], row["true_size"], row["draws_high"], row["voxel"]) for row in rows])
    low, true, high, _ = sizes.reshape(-1, 4).T
    inside = (low <= true) & (true <= high)
    return Coverage(int(inside.sum()), len(rows), float("nan"))


def binomial_band(level: float, number: int) -> tuple[float, float]:
    """Between which shares 95 % of samples lie, if each of a number of intervals holds with the level's probability."""
    low, high = binom.interval(0.95, number, level)
    return float(low) / number, float(high) / number
