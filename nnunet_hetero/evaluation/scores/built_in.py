"""The metrics that come with the package.

Nothing heavy is imported here: the command reads them before it has anything to do.
"""

from __future__ import annotations

import math

from nnunet_hetero.evaluation.scores.masks import RegionMasks
from nnunet_hetero.evaluation.scores.metric import Column, Metric
from nnunet_hetero.evaluation.scores.metric_settings import EMPTY_CONVENTION, PENALTY_MM, MetricSettings
from nnunet_hetero.evaluation.scores.score import Score


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _dice(masks: RegionMasks, settings: MetricSettings) -> float:
    return _ratio(2 * masks.hits, masks.predicted + masks.true)


def _hd95(masks: RegionMasks, settings: MetricSettings) -> float:
    if masks.predicted and masks.true:
        return masks.surface_distances.hd95
    return masks.diagonal if masks.predicted or masks.true else math.nan


def _surface_dice(masks: RegionMasks, settings: MetricSettings) -> float:
    if masks.predicted and masks.true:
        return masks.surface_distances.within(settings.tolerance)
    return 0.0 if masks.predicted or masks.true else math.nan


def _surface_convention(settings: MetricSettings) -> str:
    return (
        f"0 to 1; normalised surface Dice with a tolerance of {settings.tolerance:g} mm (MONAI, surfaces as voxels). "
        "Empty in both: no value, left out of means. Empty in one: 0."
    )


def _lesions(masks: RegionMasks, settings: MetricSettings) -> tuple[float, float]:
    # Late: it needs MONAI and the search for connected components.
    from nnunet_hetero.evaluation.scores.lesions import lesion_scores

    return lesion_scores(masks.prediction, masks.truth, masks.spacing, settings.rule)


def _lesion_dice_convention(settings: MetricSettings) -> str:
    return (
        f"0 to 1; lesion-wise Dice by the rule of BraTS 2023 ({settings.lesion_rule}): truth dilated "
        f"{settings.rule.dilation} voxel(s) to merge lesions, lesions up to {settings.rule.largest_ignored:g} mm³ left "
        "out, 0 for a missed or false lesion. Nothing in either: 1. 3D images only."
    )


def _sensitivity(masks: RegionMasks, settings: MetricSettings) -> float:
    return _ratio(masks.hits, masks.true)


def _precision(masks: RegionMasks, settings: MetricSettings) -> float:
    return _ratio(masks.hits, masks.predicted)


def _volume_error(masks: RegionMasks, settings: MetricSettings) -> float:
    return (masks.predicted - masks.true) * masks.voxel / 1000


DICE = Metric("dice", (Column("dice", Score("Dice", "%", 100), f"0 to 1. {EMPTY_CONVENTION}"),), _dice, by_default=True)

HD95 = Metric(
    "hd95",
    (
        Column(
            "hd95",
            Score("HD95", "mm", higher_is_better=False),
            "mm; 95th percentile of the distances between the surfaces' voxels, the larger one of the two directions "
            "(MONAI). Empty in both: no value, left out of means. Empty in one: the image's diagonal.",
        ),
    ),
    _hd95,
    needs_spacing=True,
    by_default=True,
)

NSD = Metric(
    "nsd",
    (Column("nsd", Score("Normalised surface Dice", "%", 100), _surface_convention),),
    _surface_dice,
    needs_spacing=True,
    by_default=True,
)

LESION = Metric(
    "lesion",
    (
        Column("lesion_dice", Score("Lesion-wise Dice", "%", 100), _lesion_dice_convention),
        Column(
            "lesion_hd95",
            Score("Lesion-wise HD95", "mm", higher_is_better=False),
            f"mm; lesion-wise HD95 by the same rule, {PENALTY_MM:g} for a missed or false lesion, surfaces as for "
            "HD95. Nothing in either: 0. 3D images only.",
        ),
    ),
    _lesions,
    needs_volume=True,
)

SENSITIVITY = Metric(
    "sensitivity",
    (
        Column(
            "sensitivity",
            Score("Sensitivity", "%", 100),
            "0 to 1; share of the true voxels that are predicted. Empty truth: no value, left out of means.",
        ),
    ),
    _sensitivity,
    by_default=True,
)

PRECISION = Metric(
    "precision",
    (
        Column(
            "precision",
            Score("Precision", "%", 100),
            "0 to 1; share of the predicted voxels that are true. Empty prediction: no value, left out of means.",
        ),
    ),
    _precision,
    by_default=True,
)

VOLUME = Metric(
    "volume",
    (
        Column(
            "volume_error_ml",
            Score("Volume error", "ml", higher_is_better=False, absolute=True),
            "ml; predicted less true volume, negative if too little is predicted. 3D images only.",
        ),
    ),
    _volume_error,
    needs_volume=True,
    by_default=True,
)

BUILT_IN = (DICE, HD95, NSD, LESION, SENSITIVITY, PRECISION, VOLUME)
"""In the order of their columns."""
