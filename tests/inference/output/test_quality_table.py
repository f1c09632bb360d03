"""``quality.csv``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.two_scans import REGIONS, calibration_of

from nnunet_hetero.inference.engine.case_result import Statement
from nnunet_hetero.inference.output.quality_table import predicted_quality, quality_rows
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.reliability.intervals import CalibrationInUse
from nnunet_hetero.reliability.quality import Observation, PredictedDice, Signs, fit_quality
from nnunet_hetero.reliability.volume_scale import VolumeScale

SCALE = VolumeScale(0.008, "ml")


def said(disagreement):
    return Statement(np.array([10.0, 2.0]), np.array([disagreement, 0.5]), np.array([disagreement / 2, 0.2]))


@pytest.fixture(scope="module")
def use():
    """The Dice is 1 - the disagreement."""
    rows = []
    for number in range(20):
        doubt = 0.02 * number
        signs = Signs(float(SCALE.place(10.0)), doubt, doubt / 2)
        rows += [
            Observation(f"p{number}", "0", region, subset, available, signs, 1 - doubt)
            for region in REGIONS
            for subset, available in (("T1", (True, False)), ("T1+T2", (True, True)))
        ]
    return CalibrationInUse(replace(calibration_of(), quality=fit_quality(rows)), ("0",))


def test_the_dice_follows_what_the_fold_says(use):
    modalities = Modalities(("T1", "T2"))
    sure, unsure = (
        predicted_quality(use, modalities, (0,), [said(doubt)], SCALE)["whole tumor"] for doubt in (0.05, 0.3)
    )
    assert sure.dice == pytest.approx(0.95, abs=0.03) and unsure.dice == pytest.approx(0.7, abs=0.03)
    assert sure.low <= sure.dice and sure.patients == 20


def test_without_the_size_of_a_pixel_nothing_is_predicted(use):
    found = predicted_quality(use, Modalities(("T1", "T2")), (0,), [said(0.1)], None)
    assert list(found) == list(REGIONS)
    assert found["whole tumor"].dice is None and found["whole tumor"].reason


def test_a_calibration_without_it_predicts_nothing():
    found = predicted_quality(
        CalibrationInUse(calibration_of(), ("0",)), Modalities(("T1", "T2")), (0,), [said(0.1)], SCALE
    )
    assert found == {}


@pytest.mark.parametrize(
    ("low", "min_dice", "look"),
    [(0.6, None, None), (0.6, 0.7, "yes"), (0.7, 0.7, "no"), (0.9, 0.7, "no"), (None, 0.7, "yes"), (None, None, None)],
)
def test_whether_to_look(low, min_dice, look):
    (row,) = quality_rows({"whole tumor": PredictedDice(0.95, low, 20)}, 0.9, min_dice)
    assert row["look"] == look and row["dice_low"] == low and row["region"] == "whole tumor"
