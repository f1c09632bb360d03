"""Overlap of a predicted and a true label map, per region."""

from __future__ import annotations

import numpy as np
from nnunetv2.evaluation.evaluate_predictions import compute_tp_fp_fn_tn, region_or_label_to_mask

from nnunet_hetero.inference.regions import Region

EMPTY_CONVENTION = (
    "A region that is empty in both the truth and the prediction has no Dice (NaN) and is left out of means, as in "
    "nnU-Net; empty in one of them only, its Dice is 0."
)


def dice_per_region(
    prediction: np.ndarray, truth: np.ndarray, regions: dict[str, Region], ignore_label: int | None = None
) -> dict[str, float]:
    """Dice of every region, 0 to 1, or NaN by `EMPTY_CONVENTION`.

    Args:
        prediction: Label map.
        truth: Label map of the same shape.
        regions: Label values by name, see `regions_of`.
        ignore_label: Label value of the truth where nothing counts.
    """
    ignored = None if ignore_label is None else truth == ignore_label
    result = {}
    for name, region in regions.items():
        masks = region_or_label_to_mask(truth, region), region_or_label_to_mask(prediction, region)
        tp, fp, fn, _ = compute_tp_fp_fn_tn(*masks, ignored)
        result[name] = float(2 * tp / (2 * tp + fp + fn)) if tp + fp + fn else float("nan")
    return result
