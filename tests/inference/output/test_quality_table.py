"""``quality.csv``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.results.two_scans import REGIONS, calibration_of

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine.case_result import Demands, Statement
from nnunet_hetero.inference.output.quality_table import predicted_quality, quality_rows
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.reliability.intervals import CalibrationInUse
from nnunet_hetero.reliability.quality import Observation, PredictedDice, Signs, fit_quality


def said(disagreement):
    expected = np.array([1 - disagreement, 0.5])
    return Statement(np.array([10.0, 2.0]), np.array([disagreement, 0.5]), expected, expected, np.array([0.3, 0.3]))


@pytest.fixture(scope="module")
def use():
    """The Dice is 1 - the disagreement."""
    rows = []
    for number in range(20):
        doubt = 0.02 * number
        signs = Signs(1 - doubt, 1 - doubt, doubt, 0.3)
        rows += [
            Observation(f"p{number}", "0", region, subset, available, signs, 1 - doubt)
            for region in REGIONS
            for subset, available in (("T1", (True, False)), ("T1+T2", (True, True)))
        ]
    return CalibrationInUse(replace(calibration_of(), quality=fit_quality(rows)), ("0",))


def test_the_dice_follows_what_the_fold_says(use):
    modalities = Modalities(("T1", "T2"))
    sure, unsure = (predicted_quality(use, modalities, (0,), [said(doubt)])["whole tumor"] for doubt in (0.05, 0.3))
    assert sure.dice == pytest.approx(0.95, abs=0.03) and unsure.dice == pytest.approx(0.7, abs=0.03)
    assert sure.low <= sure.dice and sure.patients == 20


def test_a_calibration_of_an_earlier_version_says_that_it_is(use):
    quality = {region: {**one} for region, one in use.calibration.quality.items()}
    for one in quality.values():
        del one["signs"]
    earlier = CalibrationInUse(replace(use.calibration, quality=quality), ("0",))
    found = predicted_quality(earlier, Modalities(("T1", "T2")), (0,), [said(0.1)])
    assert list(found) == list(REGIONS)
    assert found["whole tumor"].dice is None and "calibrate again" in found["whole tumor"].reason
    with pytest.raises(SettingsError, match=r"earlier version\. Calibrate again"):
        Demands(min_dice=0.7).require(earlier.calibration)
    Demands(min_dice=0.7).require(use.calibration)


def test_a_region_that_too_few_patients_had_is_one_to_look_at(use):
    quality = {"whole tumor": use.calibration.quality["whole tumor"]}
    few = CalibrationInUse(replace(use.calibration, quality=quality), ("0",))
    found = predicted_quality(few, Modalities(("T1", "T2")), (0,), [said(0.1)])
    rows = {row["region"]: row for row in quality_rows(found, 0.9, 0.1)}
    assert rows["whole tumor"]["look"] == "no"
    other = rows["enhancing tumor"]
    assert (other["dice"], other["look"]) == (None, "yes") and "too few patients" in other["note"]


def test_a_calibration_without_it_predicts_nothing():
    found = predicted_quality(CalibrationInUse(calibration_of(), ("0",)), Modalities(("T1", "T2")), (0,), [said(0.1)])
    assert found == {}


@pytest.mark.parametrize(
    ("low", "min_dice", "look"),
    [(0.6, None, None), (0.6, 0.7, "yes"), (0.7, 0.7, "no"), (0.9, 0.7, "no"), (None, 0.7, "yes"), (None, None, None)],
)
def test_whether_to_look(low, min_dice, look):
    (row,) = quality_rows({"whole tumor": PredictedDice(0.95, low, 20)}, 0.9, min_dice)
    assert row["look"] == look and row["dice_low"] == low and row["region"] == "whole tumor"
