"""The predicted Dice and its lower bound, on simulated cases."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnunet_hetero.reliability.quality import (
    GROUPS,
    Observation,
    Signs,
    cross_fitted,
    fit_quality,
    groups_of,
    predicted_dice,
)

SUBSETS = {"A": (True, False), "B": (False, True), "A+B": (True, True)}


def simulated(patients, seed=0, folds=1, scans=1, noise=0.05):
    """Cases whose Dice falls with disagreement and rises with the modalities."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        for _ in range(scans):
            hardness = generator.uniform(0, 0.4)
            for label, available in SUBSETS.items():
                doubt = hardness + 0.1 * (sum(available) == 1) + generator.normal(0, 0.02)
                dice = np.clip(1 - 1.5 * doubt + generator.normal(0, noise), 0, 1)
                signs = Signs(1 - doubt, 1 - 0.5 * doubt, doubt, generator.uniform(0.1, 0.9))
                rows.append(Observation(f"p{number}", str(number % folds), "whole", label, available, signs, dice))
    return rows


@pytest.mark.parametrize("folds", [1, 3])
def test_the_prediction_follows_the_truth(folds):
    rows = simulated(40, folds=folds)
    quality = fit_quality(rows)["whole"]
    predicted = cross_fitted(quality, rows)
    true = np.array([row.dice for row in rows])
    assert np.corrcoef(predicted, true)[0, 1] > 0.9
    assert np.abs(predicted - true).mean() < 0.06


def test_no_patient_is_predicted_by_a_regression_that_has_seen_it():
    """The Dice of one patient moves its own score, and its cross-fitted prediction not at all."""
    rows = simulated(20)
    other = [row if row.patient != "p3" else row.__class__(**{**row.__dict__, "dice": 0.0}) for row in rows]
    own = [place for place, row in enumerate(rows) if row.patient == "p3"]
    before, after = (cross_fitted(fit_quality(some)["whole"], some) for some in (rows, other))
    assert after[own] == pytest.approx(before[own])
    assert not np.allclose(np.delete(after, own), np.delete(before, own))


def test_scans_of_a_patient_stay_together_and_count_once():
    rows = simulated(20, scans=2)
    quality = fit_quality(rows)["whole"]
    assert len(set(groups_of(rows).values())) == min(20, GROUPS)
    assert {subset: sum(map(len, scores.values())) for subset, scores in quality["scores"].items()} == dict.fromkeys(
        SUBSETS, 20
    )
    assert all(len(scores) == min(20, GROUPS) for scores in quality["scores"].values())


def test_a_group_has_one_fold():
    rows = simulated(90, folds=3)
    groups = groups_of(rows)
    assert len(set(groups.values())) == GROUPS
    assert all(groups[row.patient].split(".")[0] == row.fold for row in rows)


@pytest.mark.parametrize("folds", [1, 3])
def test_the_bound_holds_as_often_as_it_says(folds):
    held = []
    for seed in range(60):
        quality = fit_quality(simulated(30, seed, folds))["whole"]
        for row in simulated(6, 1000 + seed):
            found = predicted_dice(quality, row.subset, row.available, {str(f): row.signs for f in range(folds)}, 0.9)
            held.append(found.low <= row.dice)
    # 1080 cases in sets of 18 that share a calibration: a standard error of about 0.015.
    assert np.mean(held) > 0.9 - 0.04


def test_too_few_patients_have_no_bound_and_a_reason():
    quality = fit_quality(simulated(8))["whole"]
    found = predicted_dice(quality, "A", (True, False), {"0": Signs(0.9, 0.8, 0.1, 0.3)}, 0.9)
    assert found.low is None and found.dice is not None
    assert found.reason == "8 patient(s) with A in the calibration, 90 % needs 9"


def test_a_subset_that_was_never_calibrated_has_no_bound():
    rows = [row for row in simulated(20) if row.subset != "B"]
    found = predicted_dice(fit_quality(rows)["whole"], "B", (False, True), {"0": Signs(0.9, 0.8, 0.1, 0.3)}, 0.9)
    assert found.low is None and found.patients == 0


def test_only_the_folds_that_predict_count():
    quality = fit_quality(simulated(30, folds=3))["whole"]
    signs = Signs(0.9, 0.8, 0.1, 0.3)
    found = predicted_dice(quality, "A", (True, False), {"1": signs}, 0.9)
    assert found.patients == 10
    assert predicted_dice(quality, "A", (True, False), {"7": signs}, 0.9).dice is None


def test_a_single_patient_predicts_nobody_who_was_not_seen():
    assert fit_quality(simulated(1, scans=3)) == {}
    assert list(fit_quality(simulated(2))) == ["whole"]


def test_it_passes_through_json():
    quality = fit_quality(simulated(20))
    assert json.loads(json.dumps(quality, allow_nan=False)) == quality


def test_cases_without_a_true_dice_are_left_out():
    rows = simulated(20)
    rows[0] = rows[0].__class__(**{**rows[0].__dict__, "dice": float("nan")})
    json.dumps(fit_quality(rows), allow_nan=False)
