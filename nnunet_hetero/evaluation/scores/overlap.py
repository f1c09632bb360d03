"""How good a predicted label map is, per region; the conventions are those of `scores.metric_options`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from nnunetv2.evaluation.evaluate_predictions import region_or_label_to_mask

from nnunet_hetero.evaluation.scores.lesions import lesion_scores
from nnunet_hetero.evaluation.scores.metric_options import LESION_RULES, MetricOptions
from nnunet_hetero.evaluation.scores.surface import spatial_axes, surface_scores
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
    counts = slice(None) if ignore_label is None else truth != ignore_label
    result = {}
    for name, region in regions.items():
        masks = [np.zeros(truth.shape, bool) for _ in range(2)]
        for mask, label_map in zip(masks, (prediction, truth), strict=True):
            mask[counts] = region_or_label_to_mask(label_map, region)[counts]
        scores = _scores(*masks, spacing, options)
        result[name] = {column: scores[column] for column in options.columns}
    return result


def _scores(
    prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float], options: MetricOptions
) -> dict[str, float]:
    predicted, true = np.count_nonzero(prediction), np.count_nonzero(truth)
    hits = np.count_nonzero(prediction & truth)
    is_volume = len(spatial_axes(truth.shape)) == 3
    scores = {
        "dice": _ratio(2 * hits, predicted + true),
        "sensitivity": _ratio(hits, true),
        "precision": _ratio(hits, predicted),
        "volume_error_ml": (predicted - true) * float(np.prod(spacing)) / 1000 if is_volume else float("nan"),
    }
    wanted = set(options.names)
    if wanted & {"hd95", "nsd"}:
        if predicted and true:
            scores["hd95"], scores["nsd"] = surface_scores(prediction, truth, spacing, options.tolerance)
        elif predicted or true:
            scores["hd95"], scores["nsd"] = _diagonal(truth.shape, spacing), 0.0
        else:
            scores["hd95"], scores["nsd"] = float("nan"), float("nan")
    if "lesion" in wanted:
        found = (float("nan"), float("nan"))
        if is_volume:
            found = lesion_scores(prediction, truth, spacing, LESION_RULES[options.lesion_rule])
        scores["lesion_dice"], scores["lesion_hd95"] = found
    return scores


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Length of the image's diagonal, mm."""
    return float(np.linalg.norm([shape[axis] * spacing[axis] for axis in spatial_axes(shape)]))


def dice_per_region(
    prediction: np.ndarray, truth: np.ndarray, regions: dict[str, Region], ignore_label: int | None = None
) -> dict[str, float]:
    """Dice of every region, 0 to 1, or NaN by `nnunet_hetero.evaluation.scores.metric_options.EMPTY_CONVENTION`.

    Args:
        prediction: Label map.
        truth: Label map of the same shape.
        regions: Label values by name, see `nnunet_hetero.nnunet.regions.regions_of`.
        ignore_label: Label value of the truth where nothing counts.
    """
    found = measure(prediction, truth, regions, [1.0] * truth.ndim, MetricOptions(("dice",)), ignore_label)
    return {name: scores["dice"] for name, scores in found.items()}
