"""Which modality an image looks like to an encoder."""

from __future__ import annotations

import json

import numpy as np

from nnunet_hetero.reliability.posterior_classes import distances, fit_classes

CENTRES = {"T1": [0.0, 0.0, 1.0], "T2": [2.0, 0.0, 1.0], "FLAIR": [0.0, 3.0, 1.0]}


def cases(number, seed=0):
    generator = np.random.default_rng(seed)
    return [
        {name: (np.array(at) + generator.normal(0, 0.3, 3)).tolist() for name, at in CENTRES.items()}
        for _ in range(number)
    ]


def test_an_image_is_nearest_to_its_own_modality():
    classes = fit_classes(cases(20))
    for case in cases(30, seed=1):
        for name, numbers in case.items():
            found = distances(classes, numbers)
            assert min(found, key=found.get) == name


def test_distances_are_those_of_the_spread():
    """Of three independent numbers the squared distance is 3 on average."""
    classes = fit_classes(cases(200))
    own = [distances(classes, case["T1"])["T1"] for case in cases(300, seed=2)]
    assert 2.5 < np.mean(own) < 3.5


def test_numbers_that_never_vary_do_no_harm():
    constant = [{name: [*numbers, 7.0] for name, numbers in case.items()} for case in cases(10)]
    classes = fit_classes(constant)
    json.dumps(classes, allow_nan=False)
    assert distances(classes, [0.0, 0.0, 1.0, 7.0])["T1"] < distances(classes, [2.0, 0.0, 1.0, 7.0])["T1"]
