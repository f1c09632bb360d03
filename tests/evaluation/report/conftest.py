"""A summary and a case to draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.looking.pictured import MODALITIES, REGIONS

from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.modalities import all_subsets


@pytest.fixture
def summary():
    """One case from every subset; nothing could be measured from T1c alone."""
    rows = [
        {
            "case": "a",
            "subset": MODALITIES.label(subset),
            "n_modalities": len(subset),
            "region": region,
            "dice": 0.2 * len(subset) + 0.1 * number if subset != (1,) else math.nan,
        }
        for subset in all_subsets(3)
        for number, region in enumerate(REGIONS)
    ]
    return summarise(rows, MODALITIES, list(REGIONS))


@pytest.fixture
def case():
    """Images by modality and the truth, (4, 12, 10)."""
    images = {name: np.zeros((4, 12, 10)) for name in MODALITIES.names}
    for number, image in enumerate(images.values()):
        image[:, 2:10, 1:9] = np.random.default_rng(number).uniform(1, 2, (4, 8, 8))
    truth = np.zeros((4, 12, 10), np.uint8)
    truth[2, 4:8, 3:7] = 1
    truth[2, 5:7, 4:6] = 2
    return images, truth
