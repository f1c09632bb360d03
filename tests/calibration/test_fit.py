"""From rows and counts to scores and temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from reliability.test_alarm_levels import all_sources
from reliability.test_input_checks import NAMES
from scipy.special import expit

from nnunet_hetero.calibration.fit import (
    fitted_input_checks,
    fitted_scores,
    fitted_temperatures,
    of_several_folds,
    score_of,
)
from nnunet_hetero.calibration.records import CaseRecord, Row
from nnunet_hetero.reliability.temperature import voxel_counts


def row(case: str, size: float, **changes) -> Row:
    common = {
        "case": case,
        "patient": case,
        "fold": "0",
        "subset": "T1",
        "n_modalities": 1,
        "region": "core",
        "unit": "ml",
        "voxel": 0.001,
        "true_size": 9.9,
        "size": size,
        "draws_low": 0.99 * size,
        "draws_high": 1.01 * size,
        "disagreement": 0.4,
        "expected_dice": 0.8,
        "softened_dice": 0.7,
        "surface": 0.3,
        "dice": 0.8,
    }
    return {**common, **changes}


def test_a_score_is_a_distance_in_widths():
    distance = np.log(10.0 / 5.0)  # with the 0.1 ml that both get
    assert score_of(row("a", 4.9), by_disagreement=True) == pytest.approx(distance / 0.5)
    assert score_of(row("a", 4.9), by_disagreement=False) == pytest.approx(distance)
    assert score_of(row("a", 0.0, true_size=0.0), by_disagreement=True) == 0
    assert score_of(row("a", 0.0, true_size=0.9, voxel=1.0), True) == pytest.approx(np.log(1.9) / 0.5)


def test_the_largest_of_a_patient_counts():
    rows = [row("a", 3.0, patient="p"), row("b", 9.0, patient="p"), row("c", 8.0, fold="1"), row("d", 2.0, subset="T2")]
    scores = fitted_scores(rows, ["core"], by_disagreement=True, joint=False)
    worst, _, other, of_t2 = (score_of(one, True) for one in rows)
    assert scores == {"core": {"T1": {"0": [worst], "1": [other]}, "T2": {"0": [of_t2]}}}


def test_scores_are_in_order_whoever_they_are_of():
    scores = fitted_scores([row("a", 2.0), row("b", 8.0), row("c", 4.0)], ["core"], True, False)["core"]["T1"]["0"]
    assert scores == sorted(scores) and len(scores) == 3


def test_joint_scores_are_the_largest_of_all_regions():
    rows = [row("a", 9.0), row("a", 3.0, region="whole"), row("b", 1.0), row("b", 8.0, region="whole")]
    scores = fitted_scores(rows, ["core", "whole"], by_disagreement=False, joint=True)
    assert scores["core"] == scores["whole"] == {"T1": {"0": [score_of(rows[1], False), score_of(rows[2], False)]}}


def test_patients_whom_several_folds_have():
    rows = [row("a", 1.0, patient="p"), row("b", 1.0, patient="p", fold="1"), row("c", 1.0), row("c", 1.0, subset="T2")]
    assert of_several_folds(rows) == {"p"}
    assert of_several_folds(rows[1:]) == set()


def test_temperatures_by_region_and_subset():
    rng = np.random.default_rng(0)

    def counts(temperature):
        logits = rng.normal(scale=2, size=20000)
        truth = rng.uniform(size=20000) < expit(logits)
        voxels = voxel_counts(expit(logits * temperature), truth).tolist()
        return {"near": voxels, "brain": voxels}

    nothing = {"near": np.zeros((2, 120), int).tolist(), "brain": np.zeros((2, 120), int).tolist()}
    records = [CaseRecord([], {"core": {"T1": counts(3.0), "T2": counts(1.0)}}) for _ in range(30)]
    records += [CaseRecord([], {"core": {"T2": nothing}})]
    (found,) = fitted_temperatures(records, ["core"]).values()
    assert 1.0 < found["T2"] < found["all"] < found["T1"] < 3.0
    assert found["T2"] == pytest.approx(found["all"] ** 0.25, rel=0.1)  # 30 of 30 + 10 patients' own 1.0


def test_checks_have_levels_and_suspicious_cases_their_names():
    every = {f"case_{number}": all_sources(number, odd=3.0 * (number == 5)) for number in range(20)}
    records = [CaseRecord([row(case, 1.0)], {}, of_case) for case, of_case in every.items()]
    checks, suspicious = fitted_input_checks([*records, CaseRecord([row("unknown", 1.0)], {})], NAMES)
    assert len(checks["alphas"]) == 15 and list(suspicious) == ["case_5"]
    assert fitted_input_checks(records[:5], NAMES) == (None, {})
