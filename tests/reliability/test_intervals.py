from dataclasses import replace

import numpy as np
import pytest
from reliability.test_calibration_file import CALIBRATION

from nnunet_hetero.reliability.intervals import CalibrationInUse
from nnunet_hetero.reliability.volume_scale import FLOOR, VolumeScale

SCALE = VolumeScale(0.001, "ml")
TEN = [0.1 * number for number in range(1, 11)]


def in_use(folds=("0",), **changes):
    scores = {"core": {"T1": {"0": TEN, "1": [2.0]}}, "whole": {"T1": {"0": TEN[:3]}, "T2": {"0": TEN}}}
    return CalibrationInUse(replace(CALIBRATION, scores=scores, **changes), folds)


def test_one_fold_is_split_conformal():
    found = in_use().intervals("T1", np.array([[5.0, 9.0]]), np.array([[0.2, 0.3]]), SCALE)
    half = 1.0 * (FLOOR + 0.2)  # ⌈0.9 · 11⌉ = 10: the largest score
    assert found["core"].low == pytest.approx(5.1 * np.exp(-half) - 0.1)
    assert found["core"].high == pytest.approx(5.1 * np.exp(half) - 0.1)
    assert (found["core"].patients, found["core"].reason) == (10, "")


def test_widths_may_be_fixed():
    arguments = ("T1", np.array([[5.0, 9.0]]), np.array([[0.2, 0.3]]), SCALE)
    found = in_use(by_disagreement=False).intervals(*arguments)
    assert found["core"].high == pytest.approx(5.1 * np.exp(1.0) - 0.1)


def test_each_patient_counts_with_the_fold_that_has_not_seen_him():
    sizes, doubt = np.array([[5.0, 9.0], [50.0, 9.0]]), np.array([[0.2, 0.3], [0.0, 0.3]])
    found = in_use(("0", "1"), level=0.8).intervals("T1", sizes, doubt, SCALE)
    places = np.log(np.array([5.1] * 10 + [50.1]))
    half = np.array([*TEN, 2.0]) * ([FLOOR + 0.2] * 10 + [FLOOR])
    assert found["core"].patients == 11
    assert np.log(found["core"].high + 0.1) == pytest.approx(np.sort(places + half)[9])
    assert np.log(found["core"].low + 0.1) == pytest.approx(np.sort(places - half)[1])


def test_no_limit_is_larger_than_the_image():
    """A patient whom the model was sure about and missed makes a score that no new one comes near."""
    huge = {"core": {"T1": {"0": [900.0] * 10}}}
    use = CalibrationInUse(replace(CALIBRATION, scores=huge), ("0",))
    found = use.intervals("T1", np.array([[5.0]]), np.array([[0.9]]), replace(SCALE, largest=1500.0))["core"]
    assert (found.low, found.high) == (0.0, pytest.approx(1500.0))


def test_temperatures_are_those_of_the_regions_whatever_their_order():
    temperatures = {"whole": {"all": 1.0, "T1": 2.0}, "core": {"all": 3.0}}
    use = in_use(temperatures=temperatures)
    assert use.temperatures("T1").tolist() == [3.0, 2.0]


@pytest.mark.parametrize(("subset", "patients"), [("T1", 3), ("T1+T2", 0)])
def test_too_few_patients_give_a_reason_and_no_interval(subset, patients):
    found = in_use().intervals(subset, np.array([[5.0, 9.0]]), np.array([[0.2, 0.3]]), SCALE)["whole"]
    assert (found.low, found.high, found.patients) == (None, None, patients)
    assert found.reason == f"{patients} patient(s) with {subset} in the calibration, 90 % needs 9"
