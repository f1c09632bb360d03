"""What each modality brings: the gain in Dice when it is added to a subset that lacks it."""

from __future__ import annotations

import numpy as np

from nnunet_hetero.evaluation.compare.statistics import known_mean
from nnunet_hetero.evaluation.sweep.run import Run


def modality_gains(run: Run) -> dict[str, dict[str, np.ndarray]]:
    """Gains in % Dice by modality and region, one per pair of subsets that differ in this modality alone.

    A pair's gain is the mean over the cases that have a value with both subsets; NaN if there is none. Modalities
    without such a pair are not in it.
    """
    dice = 100 * run.scores["dice"]
    gains = {}
    for channel, name in enumerate(run.modalities.names):
        pairs = [
            (place, run.subsets.index(tuple(sorted((*subset, channel)))))
            for place, subset in enumerate(run.subsets)
            if channel not in subset and tuple(sorted((*subset, channel))) in run.subsets
        ]
        if pairs:
            without, added = np.array(pairs).T
            differences = dice[added] - dice[without]
            gains[name] = {
                region: known_mean(differences[:, :, number], axis=1) for number, region in enumerate(run.regions)
            }
    return gains
