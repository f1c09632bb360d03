"""What the folds of a calibrated model say of a case, and probabilities at the calibration's temperatures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nnunet_hetero.inference.engine.case_result import CasePrediction, Statement
from nnunet_hetero.nnunet.extent import VoxelSize
from nnunet_hetero.reliability.intervals import CalibrationInUse
from nnunet_hetero.reliability.temperature import scaled


def said_by(use: CalibrationInUse, prediction: CasePrediction) -> Sequence[Statement]:
    """What each of the calibration's folds says of a case; those that count as one say one thing.

    Args:
        use: The calibration, and which of its folds predict.
        prediction: Of the case.
    """
    if use.together:
        return () if prediction.statement is None else (prediction.statement,)
    return prediction.of_folds


def statements_of(
    use: CalibrationInUse | None,
    regions: Iterable[str],
    prediction: CasePrediction,
    voxel: VoxelSize,
    image: float = math.inf,
) -> dict[str, Any] | None:
    """What the intervals of a case rest on, JSON types; None without a calibration or a known voxel.

    Args:
        use: The calibration, and which of its folds predict.
        regions: Names.
        prediction: Of the case.
        voxel: On the case's own grid.
        image: Size of the whole image.

    Returns:
        ``unit``, ``voxel`` (its size), if it is known ``image`` (size of the whole), ``folds``, and by region ``sizes``
        and ``disagreement``, a number for each of these folds.
    """
    if use is None or prediction.statement is None or voxel.unit is None:
        return None
    said = said_by(use, prediction)
    sizes, disagreement = [one.sizes.tolist() for one in said], [one.disagreement.tolist() for one in said]
    return {
        "unit": voxel.unit,
        "voxel": voxel.size,
        **({"image": image} if math.isfinite(image) else {}),
        "folds": list(use.folds),
        "sizes": dict(zip(regions, zip(*sizes, strict=True), strict=True)),
        "disagreement": dict(zip(regions, zip(*disagreement, strict=True), strict=True)),
    }


def at_temperatures(probabilities: np.ndarray, temperatures: np.ndarray, labels: Sequence[Any] | None) -> np.ndarray:
    """Probabilities ``(K, *spatial)`` at the temperatures of the regions; those of labels add up to 1 again.

    Args:
        probabilities: Of the regions, or of all labels with the background.
        temperatures: One for each region.
        labels: The channel of each region among labels; None for regions.
    """
    result = probabilities.copy()
    for place, temperature in enumerate(temperatures):
        channel = place if labels is None else labels[place]
        result[channel] = scaled(probabilities[channel], float(temperature))
    return result if labels is None else result / result.sum(axis=0)
