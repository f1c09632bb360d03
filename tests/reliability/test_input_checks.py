"""Images that are not what their names say, on invented signs of cases."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from nnunet_hetero.reliability.input_checks import ALPHA, alphas_of, fit_input_checks, judge
from nnunet_hetero.reliability.input_evidence import sources_of_pairs
from nnunet_hetero.reliability.input_verdict import GOOD, NOT_CHECKED, SUSPICIOUS, verdicts

NAMES = ("T1", "T1c", "T2", "FLAIR")
KIN = np.array([[0.9, 0.7, -0.3, 0.2], [0.7, 0.9, -0.2, 0.2], [-0.3, -0.2, 1.0, 0.4], [0.2, 0.2, 0.4, 0.8]])
"""Likeness of the image of a modality (row) to what others make of a modality (column)."""
CONTRAST = {("T1", "T1c"): -4.0, ("T1", "T2"): -1.0, ("T1", "FLAIR"): -1.0}
POSTERIOR = {"T1": [0.0, 1.0], "T1c": [1.5, 1.0], "T2": [3.0, -1.0], "FLAIR": [1.0, 4.0]}


def signs(seed, shown=NAMES, mirrored=None, moved=None, inverted=None, noise=0.05, present=NAMES):
    """What a model says of a case in which each name has the image of the modality in its place in ``shown``."""
    generator = np.random.default_rng(seed)
    image = dict(zip(NAMES, shown, strict=True))
    channels = tuple(NAMES.index(name) for name in present)

    def about(name):
        row = KIN[NAMES.index(image[name])] * (-1 if name == inverted else 1)
        in_place, view = row + generator.normal(0, noise, 4), generator.normal(0.1, noise, 6)
        if name == mirrored:
            view[1], in_place = in_place[NAMES.index(name)], in_place * 0.1
        fits = (0.8, 0.3, 14.0) if name != moved else (0.2, 0.8, 12.0)
        far = dict(zip(("in_place", "elsewhere", "distance"), fits, strict=True))
        return {"completed": in_place.tolist(), "mirrored": view.tolist(), "moved": far}

    sources = sources_of_pairs(channels)
    explained = {
        "+".join(NAMES[channel] for channel in source): {
            name: about(name) for name in present if NAMES.index(name) not in source
        }
        for source in sources
    }
    contrast = {}
    for one, two in combinations(present, 2):
        pair = image[one], image[two]
        value = CONTRAST.get(pair, -CONTRAST.get(pair[::-1], 0.0)) + generator.normal(0, noise)
        contrast.setdefault(one, {})[two] = value
    posterior = {
        name: {other: (np.array(POSTERIOR[image[other]]) + generator.normal(0, 0.2, 2)).tolist() for other in NAMES}
        for name in present
    }
    return {"explained": explained, "contrast": contrast, "posterior": posterior}


@pytest.fixture(scope="module")
def checks():
    return fit_input_checks([(f"p{seed}", signs(seed)) for seed in range(20)], NAMES)


def judged(checks, case, present=NAMES, alphas=ALPHA):
    alphas = alphas or alphas_of(checks, case, NAMES)
    return verdicts(judge(checks, case, NAMES, alphas), case, present)


def wrong(found):
    return {one.modality: one.looks for one in found if one.check == SUSPICIOUS}


def test_good_cases_pass(checks):
    assert [wrong(judged(checks, signs(seed))) for seed in range(100, 140)] == [{}] * 40


@pytest.mark.parametrize(("one", "two"), combinations(range(4), 2))
def test_every_exchange_is_found_and_named(checks, one, two):
    shown = list(NAMES)
    shown[one], shown[two] = shown[two], shown[one]
    for seed in range(200, 205):
        found = wrong(judged(checks, signs(seed, shown)))
        assert set(found) == {NAMES[one], NAMES[two]}
        assert found[NAMES[one]] == f"looks like {NAMES[two]} (exchanged with it)"


def test_an_image_in_the_place_of_another_is_found(checks):
    assert wrong(judged(checks, signs(300, ("T1", "T1c", "FLAIR", "FLAIR")))) == {"T2": "looks like FLAIR"}


def test_mirrored_moved_and_inverted_images_are_found(checks):
    assert "mirrored along axis 1" in wrong(judged(checks, signs(301, mirrored="T2")))["T2"]
    assert wrong(judged(checks, signs(302, moved="FLAIR"))) == {"FLAIR": "looks moved by 12 mm against the others"}
    assert "FLAIR" in wrong(judged(checks, signs(303, inverted="FLAIR")))


def test_a_single_modality_is_judged_by_its_own_posterior(checks):
    alone = {"explained": {}, "contrast": {}, "posterior": {"T2": {"T2": POSTERIOR["FLAIR"]}}}
    assert wrong(judged(checks, alone, ["T2"])) == {"T2": "looks like FLAIR"}
    alone["posterior"]["T2"]["T2"] = POSTERIOR["T2"]
    (verdict,) = judged(checks, alone, ["T2"])
    assert (verdict.check, verdict.likeness) == (GOOD, None)


def test_what_the_calibration_does_not_know_is_not_checked():
    two = fit_input_checks([(f"p{seed}", signs(seed, present=NAMES[:2])) for seed in range(20)], NAMES)
    found = {one.modality: one.check for one in judged(two, signs(400))}
    assert found == {"T1": GOOD, "T1c": GOOD, "T2": NOT_CHECKED, "FLAIR": NOT_CHECKED}


def test_too_few_patients_give_no_checks():
    assert fit_input_checks([(f"p{seed}", signs(seed)) for seed in range(7)], NAMES) is None


def test_scans_of_one_patient_count_once():
    assert fit_input_checks([("p0", signs(seed)) for seed in range(20)], NAMES) is None


def test_the_checks_pass_through_json(checks):
    again = json.loads(json.dumps(checks, allow_nan=False))
    case = signs(200, ("T1c", "T1", "T2", "FLAIR"))
    assert wrong(judged(again, case)) == wrong(judged(checks, case)) != {}
