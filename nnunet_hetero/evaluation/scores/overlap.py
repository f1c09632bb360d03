"""How good a predicted label map is, per region; the conventions are those of the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from nnunetv2.evaluation.evaluate_predictions import region_or_label_to_mask

from nnunet_hetero.evaluation.scores.masks import RegionMasks
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.nnunet.regions import Region


def measure(
    prediction: np.ndarray,
    truth: np.ndarray,
    regions: Mapping[str, Region],
    spacing: Sequence[float],
    options: MetricOptions,
    ignore_label: int | None = None,
) -> dict[str, dict[str, float]]:
    """Scores of every region by column; NaN where there is no value, see `MetricOptions.conventions`.

    Args:
        prediction: Label map, ``(z, y, x)``.
        truth: Label map of the same shape.
        regions: Label values by name, see `nnunet_hetero.nnunet.regions.regions_of`.
        spacing: Edges of a voxel along the axes, mm.
        options: What to measure.
        ignore_label: Label value of the truth where nothing counts.
    """
    counts = np.ones(truth.shape, bool) if ignore_label is None else truth != ignore_label
    result = {}
    for name, region in regions.items():
        predicted, true = (counts & region_or_label_to_mask(label_map, region) for label_map in (prediction, truth))
        result[name] = options.measure(RegionMasks(predicted, true, spacing))
    return result


def dice_per_region(
    prediction: np.ndarray, truth: np.ndarray, regions: Mapping[str, Region], ignore_label: int | None = None
) -> dict[str, float]:
    """Dice of every region, 0 to 1, or NaN by `nnunet_hetero.evaluation.scores.metric_settings.EMPTY_CONVENTION`.

    Args:
        prediction: Label map.
        truth: Label map of the same shape.
        regions: Label values by name, see `nnunet_hetero.nnunet.regions.regions_of`.
        ignore_label: Label value of the truth where nothing counts.

    Examples:
        >>> truth = np.array([0, 1, 1, 2])
        >>> dice_per_region(np.array([0, 1, 2, 2]), truth, {"whole": (1, 2), "core": 2})
        {'whole': 1.0, 'core': 0.6666666666666666}
    """
    found = measure(prediction, truth, regions, [1.0] * truth.ndim, MetricOptions(("dice",)), ignore_label)
    return {name: scores["dice"] for name, scores in found.items()}
