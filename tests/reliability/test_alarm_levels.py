"""How many good cases alarm, on invented signs."""

from __future__ import annotations

import numpy as np
import pytest
from reliability.test_input_checks import NAMES, judged, signs, wrong

from nnunet_hetero.reliability.alarm_levels import judged_by_others, level_of, of_modalities
from nnunet_hetero.reliability.input_checks import ALPHA, Alphas, alphas_of, fit_input_checks, judge, least_alphas


def all_sources(seed, odd=0.0, **arguments):
    """Signs of a case; with ``odd``, of one whose T1 is further from the others than a good one's."""
    case = signs(seed, **arguments)
    for numbers in case["posterior"].get("T1", {}).values():
        numbers[0] -= odd
    return case


@pytest.fixture(scope="module")
def cases():
    return [(f"p{number}", all_sources(number)) for number in range(30)]


@pytest.mark.parametrize(
    ("patients", "alpha", "rank"), [(9, 0.1, 1), (8, 0.1, 1), (19, 0.1, 2), (199, 0.005, 1), (399, 0.005, 2)]
)
def test_the_level_is_the_kth_smallest(patients, alpha, rank):
    least = np.random.default_rng(0).permutation(np.linspace(1e-6, alpha / 2, patients))
    assert level_of(least, alpha) == sorted(least)[rank - 1]
    assert level_of(np.full(patients, 1.0), alpha) == alpha


@pytest.mark.parametrize("patients", [20, 99, 299])
def test_no_more_good_patients_are_below_the_level_than_promised(patients):
    """Of any distribution, here one with heavy tails; 4000 calibrations and a new patient each."""
    rng, alpha, alarms = np.random.default_rng(patients), 0.01, 0
    for _ in range(4000):
        least = np.minimum(1.0, 0.01 * rng.pareto(0.7, patients + 1))
        alarms += least[-1] < level_of(least[:-1], alpha)
    promised = max(alpha, 1 / (patients + 1))
    assert alarms / 4000 <= promised + 3 * np.sqrt(promised * (1 - promised) / 4000)


def test_good_cases_lower_no_level(cases):
    found = judged_by_others(cases, NAMES)
    assert len(found.alphas) == 15 and found.suspicious == {}
    assert np.mean([level == list(ALPHA) for level in found.alphas.values()]) > 0.5


def test_a_good_case_that_stands_out_lowers_the_level_of_its_modalities_and_is_named(cases):
    found = judged_by_others([*cases, ("odd", all_sources(50, odd=3.0))], NAMES)
    assert list(found.suspicious) == [30]
    assert [one.modality for one in found.suspicious[30] if one.check == "suspicious"] == ["T1"]
    for label, (exchanged, other) in found.alphas.items():
        assert (other < ALPHA.other) == ("T1" in label.split("+"))
        assert exchanged == ALPHA.exchanged  # that one is odd says nothing about exchanges


def test_another_such_case_is_left_alone_and_exchanges_are_found(cases):
    cases = [*cases, ("odd", all_sources(50, odd=3.0))]
    checks = fit_input_checks(cases, NAMES)
    checks["alphas"] = judged_by_others(cases, NAMES).alphas
    for seed in range(60, 80):
        assert wrong(judged(checks, all_sources(seed, odd=2.5), alphas=None)) == {}
        exchanged = all_sources(seed, shown=("T1c", "T1", "T2", "FLAIR"))
        assert set(wrong(judged(checks, exchanged, alphas=None))) == {"T1", "T1c"}


def test_a_case_is_judged_at_the_level_of_what_it_has(cases):
    checks = fit_input_checks(cases, NAMES)
    assert alphas_of(checks, cases[0][1], NAMES) == ALPHA  # a calibration of an earlier version
    checks["alphas"] = {"T1+T2": [0.001, 0.002]}
    assert alphas_of(checks, of_modalities(cases[0][1], ["T1", "T2"], NAMES), NAMES) == Alphas(0.001, 0.002)
    assert alphas_of(checks, cases[0][1], NAMES) == ALPHA


def test_the_least_alpha_is_where_an_alarm_begins(cases):
    checks = fit_input_checks(cases, NAMES)
    case = all_sources(70, odd=2.0)
    least = least_alphas(checks, case, NAMES)
    for factor, expected in ((0.99, False), (1.01, True)):
        found = judge(checks, case, NAMES, Alphas(1e-9, least.other * factor))
        assert any(one.suspicious for one in found) is expected


def test_too_few_others_judge_nobody(cases):
    found = judged_by_others(cases[:8], NAMES)
    assert found.alphas == {} and found.suspicious == {}


def test_scans_of_a_patient_are_judged_without_each_other(cases):
    twins = [("odd", all_sources(seed, odd=3.0)) for seed in (51, 52)]
    assert sorted(judged_by_others([*cases, *twins], NAMES).suspicious) == [30, 31]


class TestOfModalities:
    def test_is_what_a_look_at_fewer_images_gives(self):
        fewer = of_modalities(signs(1), ["T1", "FLAIR"], NAMES)
        assert list(fewer["contrast"]) == ["T1"] and list(fewer["contrast"]["T1"]) == ["FLAIR"]
        assert {name: list(of_image) for name, of_image in fewer["posterior"].items()} == {
            "T1": ["T1"],
            "FLAIR": ["FLAIR"],
        }

    def test_of_one_image_is_its_posterior_alone(self):
        alone = of_modalities(signs(1), ["T2"], NAMES)
        assert alone["explained"] == {} and alone["contrast"] == {} and list(alone["posterior"]) == ["T2"]
