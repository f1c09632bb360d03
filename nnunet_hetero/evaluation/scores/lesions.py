"""Lesion-wise Dice and HD95 of the BraTS 2023 challenges: every lesion counts the same, however small.

The rule, as the organisers announced it (https://www.synapse.org/Synapse:syn51156910/discussion/threadId=10357) and
published it as code (https://github.com/rachitsaluja/BraTS-2023-Metrics):

1. The true mask is dilated (voxels that share a face or an edge, some iterations). What is connected afterwards (faces,
   edges, corners) is one lesion, made of the true voxels in it.
2. The prediction's connected components that touch the dilated lesion are its prediction, all of them together.
3. A lesion's Dice and HD95 are those of its true voxels and its prediction; a missed lesion has a Dice of 0 and an HD95
   of 374 mm.
4. Lesions up to a volume do not count. A component that touches no lesion, of any volume, is a false one: Dice 0, HD95
   374 mm, whatever its size.
5. The scores of the case are the means over lesions and false components; 1 and 0 mm if there are neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cc3d
import numpy as np
from scipy.ndimage import binary_dilation, generate_binary_structure

from nnunet_hetero.evaluation.scores.geometry import bounding_box
from nnunet_hetero.evaluation.scores.metric_settings import LESION_RULES, PENALTY_MM, LesionRule
from nnunet_hetero.evaluation.scores.surface import surface_distances


class LesionScores(NamedTuple):
    """Means over the lesions of a region.

    Attributes:
        dice: 0 to 1.
        hd95: In mm.
    """

    dice: float
    hd95: float


def lesion_scores(
    prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float], rule: LesionRule = LESION_RULES["glioma"]
) -> LesionScores:
    """Lesion-wise Dice and HD95 of one region.

    Args:
        prediction: Mask, ``(z, y, x)``.
        truth: Mask of the same shape.
        spacing: Edges of a voxel along the axes, mm.
        rule: What counts as a lesion.

    Examples:
        >>> truth = np.zeros((20, 20, 40), bool)
        >>> truth[5:10, 5:10, 5:10] = truth[5:10, 5:10, 30:35] = True
        >>> found = truth.copy()
        >>> found[:, :, :20] = False  # one of two lesions is missed
        >>> lesion_scores(found, truth, (1.0, 1.0, 1.0))
        LesionScores(dice=0.5, hd95=187.0)
    """
    either = prediction | truth
    if not either.any():
        return LesionScores(1.0, 0.0)
    box = bounding_box(either, margin=rule.dilation)
    prediction, truth = prediction[box], truth[box]
    components = cc3d.connected_components(prediction.astype(np.uint8), connectivity=26)
    dilated = binary_dilation(truth, generate_binary_structure(3, 2), iterations=rule.dilation)
    zones, number = cc3d.connected_components(dilated.astype(np.uint8), connectivity=26, return_N=True)
    dice, hd95 = [], []
    matched: set[int] = set()
    for zone in range(1, number + 1):
        inside = zones == zone
        own = set(np.unique(components[inside]).tolist()) - {0}
        matched |= own
        lesion = truth & inside
        if np.count_nonzero(lesion) * np.prod(spacing) > rule.largest_ignored:
            predicted = np.isin(components, list(own))
            total = np.count_nonzero(lesion) + np.count_nonzero(predicted)
            dice.append(2 * np.count_nonzero(lesion & predicted) / total)
            hd95.append(surface_distances(lesion, predicted, spacing).hd95 if own else PENALTY_MM)
    false = int(components.max()) - len(matched)
    count = len(dice) + false
    if not count:
        return LesionScores(1.0, 0.0)
    return LesionScores(float(sum(dice) / count), float((sum(hd95) + PENALTY_MM * false) / count))
