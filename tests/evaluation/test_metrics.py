"""Dice per region."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.tiny_model import tiny_dataset_json
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_hetero.evaluation.metrics import dice_per_region
from nnunet_hetero.inference.regions import regions_of

REGIONS = {"core": (2, 3), "edge": 1}


class TestRegions:
    def test_regions_by_name(self):
        labels = tiny_dataset_json()["labels"]
        expected = {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": 3}
        assert regions_of(LabelManager(labels, [1, 2, 3])) == expected

    def test_labels_without_background_and_ignore(self):
        labels = {"background": 0, "liver": 1, "tumor": 2, "ignore": 3}
        assert regions_of(LabelManager(labels, None)) == {"liver": 1, "tumor": 2}


class TestDice:
    @pytest.mark.parametrize(
        ("prediction", "truth", "core", "edge"),
        [
            ([2, 3, 1, 0], [3, 2, 1, 0], 1.0, 1.0),
            ([2, 2, 0, 0], [2, 0, 0, 0], 2 / 3, math.nan),
            ([0, 0, 0, 0], [2, 1, 0, 0], 0.0, 0.0),
            ([2, 1, 0, 0], [0, 0, 0, 0], 0.0, 0.0),
            ([0, 0, 0, 0], [0, 0, 0, 0], math.nan, math.nan),
        ],
    )
    def test_values_and_empty_masks(self, prediction, truth, core, edge):
        dice = dice_per_region(np.array(prediction), np.array(truth), REGIONS)
        assert list(dice.values()) == pytest.approx([core, edge], nan_ok=True)

    def test_ignored_voxels_do_not_count(self):
        dice = dice_per_region(np.array([1, 1, 1]), np.array([1, 4, 4]), {"edge": 1}, ignore_label=4)
        assert dice == {"edge": 1.0}
