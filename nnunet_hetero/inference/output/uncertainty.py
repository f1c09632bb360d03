"""How sure the model is of a case: one number per region, beside the maps of entropy and mutual information.

The number is 1 - Dice between the draws and the segmentation of their mean (`DrawStatistics.disagreement`): 0 if every
draw gives the same region, near 1 if no two agree. It asks of the draws what the truth would be asked of the
segmentation, so it can be compared between regions of any size; the mean entropy of a map grows with the region's
surface. Such agreement between samples predicts the Dice against the truth (Roy et al., "Bayesian QuickNAT",
NeuroImage 2019).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nnunet_hetero.inference.output.volumes import Row, plain_name

FILE_NAME = "uncertainty.csv"


def uncertainty_row(regions: Iterable[str], disagreement: np.ndarray) -> Row:
    """The numbers of one case, by column ``REGION_disagreement``.

    Args:
        regions: Names of the regions.
        disagreement: ``(R,)``, 0 to 1.
    """
    return {f"{plain_name(name)}_disagreement": float(value) for name, value in zip(regions, disagreement, strict=True)}
