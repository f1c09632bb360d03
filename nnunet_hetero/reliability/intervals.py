"""Intervals of the regions' sizes of one case, from a calibration and what each fold says of the case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_hetero.reliability.calibration_file import ALL_SUBSETS, TOGETHER, Calibration
from nnunet_hetero.reliability.conformal import interval, patients_needed
from nnunet_hetero.reliability.volume_scale import VolumeScale, stated_width


@dataclass(frozen=True)
class Interval:
    """Between which limits the size of a region lies.

    Args:
        low: Lower limit, in the unit of the sizes; None if there is no interval.
        high: Upper limit; None if there is no interval.
        patients: On how many it rests.
        reason: Why there is none; "" if there is one.
    """

    low: float | None
    high: float | None
    patients: int
    reason: str = ""


@dataclass(frozen=True)
class CalibrationInUse:
    """A calibration, and which of its folds predict.

    Args:
        calibration: That of the model.
        folds: The folds that predict, in order; `calibration_file.TOGETHER` alone if they count as one.
        looks: Place, among the folds that are loaded, of the one that looks at the input.
    """

    calibration: Calibration
    folds: tuple[str, ...]
    looks: int = 0

    @property
    def together(self) -> bool:
        """Whether it takes what all folds say together, and not what each says alone."""
        return self.folds == (TOGETHER,)

    def temperatures(self, subset: str) -> np.ndarray:
        """Of each region's probability in cases that are predicted from a subset, ``(R,)``."""
        by_region = [self.calibration.temperatures[region] for region in self.calibration.regions]
        return np.array([of_subsets.get(subset, of_subsets[ALL_SUBSETS]) for of_subsets in by_region])

    def intervals(
        self, subset: str, sizes: np.ndarray, disagreement: np.ndarray, scale: VolumeScale
    ) -> dict[str, Interval]:
        """The intervals of a case, by region.

        Args:
            subset: The modalities that it was predicted from, ``T1+FLAIR``.
            sizes: Of each region by each fold, on the network's grid, ``(folds, R)``.
            disagreement: The same way.
            scale: That of the case.
        """
        found = {}
        for place, (region, of_subsets) in enumerate(self.calibration.scores.items()):
            of_folds = of_subsets.get(subset, {})
            scores = [np.asarray(of_folds.get(fold, ()), dtype=float) for fold in self.folds]
            widths = stated_width(disagreement[:, place], self.calibration.by_disagreement)
            found[region] = self._interval(scores, scale.place(sizes[:, place]), widths, subset, scale)
        return found

    def _interval(
        self, scores: Sequence[np.ndarray], places: np.ndarray, widths: np.ndarray, subset: str, scale: VolumeScale
    ) -> Interval:
        numbers, level = [len(one) for one in scores], self.calibration.level
        patients = sum(numbers)
        limits = interval(np.concatenate(scores), np.repeat(places, numbers), np.repeat(widths, numbers), level)
        if limits is not None:
            return Interval(scale.size(limits[0]), scale.size(limits[1]), patients)
        needed = f"{100 * level:g} % needs {patients_needed(level)}"
        return Interval(None, None, patients, f"{patients} patient(s) with {subset} in the calibration, {needed}")
