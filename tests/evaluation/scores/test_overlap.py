"""Scores per region, their conventions for empty masks, and what can be asked for."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from helpers.tiny_model import tiny_dataset_json
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.evaluation.scores.overlap import dice_per_region, measure
from nnunet_hetero.nnunet.regions import regions_of

REGIONS = {"core": (2, 3), "edge": 1}
ALL = MetricOptions.of(["all"])
SHAPE, SPACING = (6, 8, 10), (2.0, 1.0, 1.0)
DIAGONAL = math.sqrt(12**2 + 8**2 + 10**2)


def label_map(label: int = 0, voxels: int = 0, shape=SHAPE) -> np.ndarray:
    """Zeros, with a row of one label."""
    result = np.zeros(shape, np.uint8)
    result[shape[0] // 2, 3, 1 : 1 + voxels] = label
    return result


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


class TestMeasure:
    def test_by_hand(self):
        """Four voxels predicted, eight true, of 2 mm³ each; the prediction is the first half of the true row."""
        found = measure(label_map(1, 4), label_map(1, 8), {"edge": 1}, SPACING, ALL)["edge"]
        assert found["dice"] == pytest.approx(2 * 4 / 12)
        assert found["sensitivity"] == pytest.approx(4 / 8)
        assert found["precision"] == 1.0
        assert found["volume_error_ml"] == pytest.approx(-4 * 2 / 1000)
        # Distances of the true row: four times 0, then 1 to 4 mm; the 95th percentile lies at place 6.65 of 0 to 7.
        assert found["hd95"] == pytest.approx(3.65)
        assert found["nsd"] == pytest.approx((4 + 5) / 12)  # the tolerance is 1 mm
        assert (found["lesion_dice"], found["lesion_hd95"]) == (1.0, 0.0)  # 16 mm³ are no lesion

    @pytest.mark.parametrize(
        ("predicted", "true", "expected"),
        [
            (0, 0, {"lesion_dice": 1.0, "lesion_hd95": 0.0, "volume_error_ml": 0.0}),
            (0, 9, {"dice": 0, "hd95": DIAGONAL, "nsd": 0, "sensitivity": 0, "volume_error_ml": -0.018}),
            (9, 0, {"dice": 0, "hd95": DIAGONAL, "nsd": 0, "precision": 0, "volume_error_ml": 0.018}),
        ],
    )
    def test_empty_masks(self, predicted, true, expected):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = measure(label_map(1, predicted), label_map(1, true), {"edge": 1}, SPACING, ALL)["edge"]
        lesions = {"lesion_dice": 0.0, "lesion_hd95": 374.0} if predicted else {"lesion_dice": 1.0, "lesion_hd95": 0.0}
        for column, value in found.items():
            assert value == pytest.approx({**lesions, **expected}.get(column, math.nan), nan_ok=True), column

    def test_ignored_voxels_do_not_count_anywhere(self):
        truth = label_map(1, 8)
        truth[:, :, 5:] = 4
        prediction = label_map(1, 4)
        prediction[0, 0, 9] = 1
        found = measure(prediction, truth, {"edge": 1}, SPACING, ALL, ignore_label=4)["edge"]
        assert (found["dice"], found["hd95"], found["volume_error_ml"]) == (1.0, 0.0, 0.0)

    def test_a_single_slice_has_no_volumes_and_no_lesions(self):
        """Its thickness is unknown; nnU-Net's readers put 999 there."""
        shape = (1, 8, 10)
        found = measure(label_map(1, 4, shape), label_map(1, 8, shape), {"edge": 1}, (999.0, 1.0, 1.0), ALL)["edge"]
        nothing = [column for column, value in found.items() if math.isnan(value)]
        assert nothing == ["lesion_dice", "lesion_hd95", "volume_error_ml"]
        assert found["hd95"] == pytest.approx(3.65)
        missed = measure(label_map(shape=shape), label_map(1, 8, shape), {"edge": 1}, (999.0, 1.0, 1.0), ALL)["edge"]
        assert missed["hd95"] == pytest.approx(math.sqrt(164))

    def test_nested_regions(self):
        truth = label_map(1, 8)
        truth[3, 4, 1:9] = 2
        regions = {"whole": (1, 2), "core": 2}
        found = measure(label_map(1, 8), truth, regions, SPACING, ALL)
        assert found["whole"]["dice"] == pytest.approx(2 * 8 / 24)
        assert found["core"]["dice"] == 0
